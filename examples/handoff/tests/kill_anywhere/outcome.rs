//! What came of a run, and what it must be.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::client::{Clients, Load};
use crate::mail::MailService;

/// How long a worker may take for what is left at the end.
const REST: Duration = Duration::from_secs(180);

/// How long nothing may be sent any more, before what is not sent counts as lost. Much longer than a worker takes
/// to get the jobs of one that was killed, because the machine may be busy.
const QUIET: Duration = Duration::from_secs(30);

/// The same without hand-offs: nothing is in the queue, so nothing more comes.
const QUIET_WITHOUT_HAND_OFFS: Duration = Duration::from_secs(2);

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) kills: usize,
    /// How many of them fell into a hand-off.
    in_hand_offs: usize,
    acknowledged: usize,
    sent_in_time: usize,
    handed_off: usize,
    refused: usize,
    /// The acknowledged orders without a receipt.
    lost: Vec<String>,
    /// How many receipts were sent once more.
    duplicates: usize,
}

impl Outcome {
    /// Counts a kill that comes next.
    pub(crate) fn count_kill(&mut self, mail: &MailService, load: &Load) {
        self.kills += 1;
        self.in_hand_offs += usize::from(load.is_in_hand_off(mail));
    }

    /// Waits until every acknowledged order has its receipt, or no more come.
    pub(crate) async fn finish(&mut self, clients: &Clients, mail: &MailService, hands_off: bool) {
        let quiet = if hands_off {
            QUIET
        } else {
            QUIET_WITHOUT_HAND_OFFS
        };
        let items: Vec<String> = clients.answers(|a| a.acknowledged.keys().cloned().collect());
        let missing = || -> Vec<String> {
            let missing = items.iter().filter(|item| mail.sent(item) == 0);
            missing.cloned().collect()
        };
        let begun = Instant::now();
        let (mut left, mut since) = (missing(), begun);
        while !left.is_empty() && begun.elapsed() < REST && since.elapsed() < quiet {
            sleep(Duration::from_millis(100)).await;
            let now = missing();
            if now.len() < left.len() {
                since = Instant::now();
            }
            left = now;
        }
        self.lost = left;
        self.duplicates = items
            .iter()
            .map(|item| mail.sent(item).saturating_sub(1))
            .sum();
        clients.answers(|answers| {
            let receipts = |state| {
                let all = answers.acknowledged.values();
                all.filter(|receipt| receipt.as_deref() == Some(state))
                    .count()
            };
            self.acknowledged = answers.acknowledged.len();
            self.sent_in_time = receipts("sent");
            self.handed_off = receipts("queued");
            self.refused = answers.refused;
        });
    }

    /// Fails if a receipt was lost, or if the run has shown too little.
    pub(crate) fn assert_nothing_lost(&self, kills: usize) {
        assert_eq!(self.lost, [] as [String; 0], "lost: {self}");
        assert_eq!(self.kills, kills);
        let third = self.acknowledged / 3;
        assert!(self.sent_in_time >= third, "too few in time: {self}");
        assert!(self.handed_off >= third, "too few hand-offs: {self}");
        assert!(
            self.in_hand_offs >= kills / 5,
            "too few kills in a hand-off: {self}"
        );
    }

    /// Fails if no receipt was lost.
    pub(crate) fn assert_lost(&self) {
        assert!(!self.lost.is_empty(), "the test sees no loss: {self}");
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kills,
            in_hand_offs,
            acknowledged,
            sent_in_time,
            handed_off,
            refused,
            lost,
            duplicates,
        } = self;
        write!(
            f,
            "{kills} kills, {in_hand_offs} in a hand-off; {acknowledged} orders acknowledged: {sent_in_time} sent in \
             time, {handed_off} handed off; {refused} refused; {} lost, {duplicates} sent twice",
            lost.len()
        )
    }
}
