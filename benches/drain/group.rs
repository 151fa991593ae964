//! Measures contenders in a group of criterion.

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use tokio::runtime::{Builder, Runtime};

use crate::contender::Contender;

pub(crate) struct Group<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    runtime: Runtime,
}

impl<'a> Group<'a> {
    pub(crate) fn on_one_thread(criterion: &'a mut Criterion, name: &str) -> Self {
        Self::new(criterion, name, &mut Builder::new_current_thread())
    }

    pub(crate) fn on_many_threads(criterion: &'a mut Criterion, name: &str) -> Self {
        Self::new(criterion, name, &mut Builder::new_multi_thread())
    }

    fn new(criterion: &'a mut Criterion, name: &str, runtime: &mut Builder) -> Self {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        let runtime = runtime.enable_time().build().expect("a runtime");
        Self { group, runtime }
    }

    /// Counts elements, such as frames, instead of requests.
    pub(crate) fn elements_of_a_request(&mut self, elements: u64) {
        self.group.throughput(Throughput::Elements(elements));
    }

    pub(crate) fn measure(&mut self, name: &str, contender: &Contender) {
        self.group
            .bench_function(name, |bencher| run(bencher, &self.runtime, contender));
    }

    /// Measures a contender that has this many tasks.
    pub(crate) fn measure_with(&mut self, tasks: usize, name: &str, contender: &Contender) {
        self.group
            .bench_function(BenchmarkId::new(name, tasks), |bencher| {
                run(bencher, &self.runtime, contender);
            });
    }
}

fn run(bencher: &mut Bencher<'_>, runtime: &Runtime, contender: &Contender) {
    bencher.iter_custom(|requests| runtime.block_on(contender.run(requests)));
}
