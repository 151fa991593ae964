//! No acknowledged order loses its receipt, wherever the programs and the database are killed.
//!
//! The mail service and the client belong to the test. The client places orders over connections that are kept alive,
//! while the program is killed (SIGKILL) at random moments. Each mail takes between no time and three drain timeouts.
//! At the end a worker runs, and every order that was answered with 201 must have its receipt.
//!
//! A control runs the same without hand-offs, and must lose receipts: so the test can see a loss.
//!
//! Environment variables: `KILLS` is the number of kills, 100 by default. `SEED` repeats the draws of a run, but not
//! its timing.
//!
//! | module | content |
//! |---|---|
//! | `client` | places orders, and keeps what was answered |
//! | `mail` | the mail service |
//! | `outcome` | what came of a run, and what it must be |
//! | `postgres` | a PostgreSQL server of the test |
//! | `program` | a process of the example |

mod client;
mod mail;
mod outcome;
mod postgres;
mod program;

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::Mutex;
use tokio::time::sleep;

use self::client::Clients;
use self::mail::MailService;
use self::outcome::Outcome;
use self::postgres::Postgres;
use self::program::Program;

/// How long a response waits for its receipt.
const DRAIN: Duration = Duration::from_millis(300);

/// How many connections each program has.
const CONNECTIONS: usize = 12;

/// One run at a time: they measure time.
static ALONE: Mutex<()> = Mutex::const_new(());

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("a number"))
}

fn kills() -> usize {
    number("KILLS").unwrap_or(100) as usize
}

/// The draws of a run. A failing run prints the seed.
fn draws() -> Rng {
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    Rng::with_seed(seed)
}

/// Waits for a random moment. Each second one is just after a task was stopped, because a hand-off takes only a few
/// milliseconds.
async fn random_moment(draws: &mut Rng, mail: &MailService, kill: usize) {
    sleep(Duration::from_millis(draws.u64(100..500))).await;
    if kill % 2 == 1 {
        mail.next_leaves().await;
        sleep(Duration::from_micros(draws.u64(..3000))).await;
    }
}

/// Starts one program on a SQLite file, and kills it again and again. Then a worker does the rest.
async fn run_on_sqlite(folder: &Path, mut draws: Rng, kills: usize, options: &[&str]) -> Outcome {
    let mail = MailService::start().await;
    let clients = Clients::new(draws.fork());
    let store = format!("sqlite://{}", folder.join("shop.db").display());
    let mut outcome = Outcome::default();
    for kill in 0..kills {
        let program = Program::start(&store, &mail, options).await;
        let load = clients.start(program.url(), CONNECTIONS);
        random_moment(&mut draws, &mail, kill).await;
        outcome.count_kill(&mail, &load);
        program.kill().await;
        load.join().await;
    }
    mail.send_at_once();
    let rest = Program::start(&store, &mail, options).await;
    outcome.finish(&clients, &mail, options.is_empty()).await;
    rest.kill().await;
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_no_acknowledged_order_loses_its_receipt_and_without_hand_offs_some_do() {
    let _alone = ALONE.lock().await;
    let draws = draws();
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = run_on_sqlite(folder.path(), draws.clone(), kills(), &[]).await;
    println!("SQLite: {outcome}");
    outcome.assert_nothing_lost(kills());

    let folder = tempfile::tempdir().expect("a folder");
    let kills = kills().div_ceil(4);
    let control = run_on_sqlite(folder.path(), draws, kills, &["--no-hand-off"]).await;
    println!("SQLite, without hand-offs: {control}");
    control.assert_lost();
}

/// Starts two programs and a worker on one PostgreSQL server, and kills one of them again and again. In the middle the
/// server crashes. Then a worker does the rest.
async fn run_on_postgres(
    server: &Postgres,
    database: &str,
    mut draws: Rng,
    kills: usize,
    options: &[&str],
) -> Outcome {
    let mail = MailService::start().await;
    let clients = Clients::new(draws.fork());
    let store = server.create_database(database).await;
    let shop: Vec<&str> = options.iter().copied().chain(["--no-worker"]).collect();
    let worker_only = ["--worker-only"];
    let mut outcome = Outcome::default();
    let mut worker = Program::start(&store, &mail, &worker_only).await;
    let mut shops = Vec::new();
    for _ in 0..2 {
        let program = Program::start(&store, &mail, &shop).await;
        let load = clients.start(program.url(), CONNECTIONS);
        shops.push((program, load));
    }
    for kill in 0..kills {
        random_moment(&mut draws, &mail, kill).await;
        if kill == kills / 2 {
            server.crash().await;
            server.start().await;
        }
        if draws.u8(..5) == 0 {
            worker.kill().await;
            worker = Program::start(&store, &mail, &worker_only).await;
            outcome.kills += 1;
            continue;
        }
        // The one with a hand-off, if there is one.
        let in_hand_off = shops
            .iter()
            .position(|(_, load)| load.is_in_hand_off(&mail));
        let victim = in_hand_off.unwrap_or(draws.usize(..shops.len()));
        let (program, load) = shops.swap_remove(victim);
        outcome.count_kill(&mail, &load);
        program.kill().await;
        load.join().await;
        let program = Program::start(&store, &mail, &shop).await;
        let load = clients.start(program.url(), CONNECTIONS);
        shops.push((program, load));
    }
    for (program, load) in shops {
        program.kill().await;
        load.join().await;
    }
    mail.send_at_once();
    outcome.finish(&clients, &mail, options.is_empty()).await;
    worker.kill().await;
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_no_acknowledged_order_loses_its_receipt_and_without_hand_offs_some_do() {
    let _alone = ALONE.lock().await;
    let draws = draws();
    let server = Postgres::new();
    server.start().await;
    let outcome = run_on_postgres(&server, "shop", draws.clone(), kills(), &[]).await;
    println!("PostgreSQL: {outcome}");
    outcome.assert_nothing_lost(kills());

    let kills = kills().div_ceil(4);
    let control = run_on_postgres(&server, "control", draws, kills, &["--no-hand-off"]).await;
    println!("PostgreSQL, without hand-offs: {control}");
    control.assert_lost();
    server.stop().await;
}
