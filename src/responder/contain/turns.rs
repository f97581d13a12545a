//! Of one event, every identity is struck before any is held, and only so many are worked on side by side:
//! each takes connections and files.
//!
//! INVARIANT: every identity is struck before any is held. `tests/test_flood.py` holds it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clients::patience::Patience;
use domain::ids::AccountId;
use tokio::sync::{Semaphore, watch};

use super::budgets::Strike;

/// Identities that are looked up and struck side by side.
const STRIKES: usize = 8;
/// Identities that are looked at side by side. Whoever has looked makes place for the next, so that each is looked
/// at again and again while others fight.
const LOOKS: usize = 16;
/// How long one that can't be struck, because its account throttles, keeps another from being struck.
const LOAN: Duration = Duration::from_secs(4);
/// How long one that can't be looked at, because its account throttles, keeps another from being looked at.
const LOOK_LOAN: Duration = Duration::from_secs(1);
/// How often that is asked.
const TICK: Duration = Duration::from_millis(250);
/// How long an identity that was struck waits for the others: one that can't be, because its account
/// throttles, must not leave all of them unwatched.
const PATIENCE: Duration = Duration::from_secs(20);

/// The turns of one event's identities.
pub(crate) struct Turns {
    strikes: Semaphore,
    looks: Semaphore,
    unstruck: watch::Sender<usize>,
    is_lone: AtomicBool,
    is_put_off: AtomicBool,
}

impl Turns {
    pub(crate) fn new(identities: usize) -> Self {
        Self {
            strikes: Semaphore::new(STRIKES),
            looks: Semaphore::new(LOOKS),
            unstruck: watch::Sender::new(identities),
            is_lone: AtomicBool::new(identities < 2),
            is_put_off: AtomicBool::new(false),
        }
    }

    /// Waits until everybody was struck, or needs no strike: whether there was a place for each.
    pub(crate) async fn all_struck(&self) -> bool {
        let _ = self.unstruck.subscribe().wait_for(|it| *it == 0).await;
        !self.is_put_off.load(Ordering::Relaxed)
    }

    /// Waits until one more identity may be struck.
    pub(crate) async fn next(&self, account: &AccountId) -> Turn<'_> {
        if let Ok(permit) = self.strikes.acquire().await {
            // Given back by `struck`.
            permit.forget();
        }
        Turn {
            turns: self,
            is_over: AtomicBool::new(false),
            is_lent: AtomicBool::new(false),
            taken: Mutex::default(),
            strike: Mutex::new(Some(Strike::begin(account))),
        }
    }
}

/// One identity's turn.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    is_over: AtomicBool,
    is_lent: AtomicBool,
    /// Since when it has room to look.
    taken: Mutex<Option<Instant>>,
    /// As long as it is not struck, fights in its account leave IAM to it.
    strike: Mutex<Option<Strike>>,
}

/// Room to look, until it is dropped.
pub(crate) struct Room<'a>(&'a Turn<'a>);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.give_room_back();
    }
}

impl Turn<'_> {
    /// There was no place for it.
    pub(crate) fn put_off(&self) {
        self.turns.is_put_off.store(true, Ordering::Relaxed);
    }

    /// Whatever came of it, the next identity may be struck.
    pub(crate) fn struck(&self) {
        if !self.is_over.swap(true, Ordering::Relaxed) {
            drop(self.strike.lock().unwrap_or_else(PoisonError::into_inner).take());
            self.make_place();
            self.turns.unstruck.send_modify(|it| *it = it.saturating_sub(1));
        }
    }

    /// Whoever takes long to be struck lets the next one begin beside it, and whoever waits for an account that
    /// throttles lets the next one look. Never ends.
    pub(crate) async fn lend(&self, patience: &Patience) {
        let lend_place = async {
            tokio::time::sleep(LOAN).await;
            self.make_place();
        };
        let lend_room = async {
            let (mut looking, mut waits) = (None, patience.waits());
            loop {
                let before = patience.waits();
                tokio::time::sleep(TICK).await;
                let since = *self.taken();
                if since != looking {
                    (looking, waits) = (since, before);
                }
                self.lend_room(patience.waits() > waits);
            }
        };
        tokio::join!(lend_place, lend_room);
    }

    fn lend_room(&self, is_throttled: bool) {
        let is_long = self.taken().is_some_and(|since| since.elapsed() > LOOK_LOAN);
        if is_throttled && is_long {
            self.give_room_back();
        }
    }

    fn give_room_back(&self) {
        if self.taken().take().is_some() {
            self.turns.looks.add_permits(1);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Option<Instant>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_place(&self) {
        if !self.is_lent.swap(true, Ordering::Relaxed) {
            self.turns.strikes.add_permits(1);
        }
    }

    /// So many more are to be struck than were known.
    pub(crate) fn more(&self, identities: usize) {
        self.turns.is_lone.store(false, Ordering::Relaxed);
        self.turns.unstruck.send_modify(|it| *it += identities);
    }

    /// Waits until everybody was struck and there is room to look at one more. An identity that is alone is
    /// read beside its strike.
    pub(crate) async fn room(&self) -> Option<Room<'_>> {
        if self.is_lone() {
            return None;
        }
        let mut unstruck = self.turns.unstruck.subscribe();
        let _ = tokio::time::timeout(PATIENCE, unstruck.wait_for(|it| *it == 0)).await;
        self.look().await
    }

    /// Waits until there is room to look at one more.
    pub(crate) async fn look(&self) -> Option<Room<'_>> {
        if self.is_lone() {
            return None;
        }
        // Given back by `give_room_back`.
        self.turns.looks.acquire().await.ok()?.forget();
        *self.taken() = Some(Instant::now());
        Some(Room(self))
    }

    fn is_lone(&self) -> bool {
        self.turns.is_lone.load(Ordering::Relaxed)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.struck();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use domain::ids::Parse;

    use super::*;

    fn account() -> AccountId {
        AccountId::parse("111122223333").unwrap()
    }

    #[tokio::test]
    async fn everybody_is_struck_before_anybody_is_held() {
        let turns = Turns::new(3);
        let (first, second) = (turns.next(&account()).await, turns.next(&account()).await);
        first.struck();
        first.struck();
        assert!(first.room().now_or_never().is_none());
        second.struck();
        assert!(first.room().now_or_never().is_none());
        // One that was refused was never struck, and counts no less.
        drop(turns.next(&account()).await);
        assert!(first.room().await.is_some() && second.room().await.is_some());
    }

    #[tokio::test]
    async fn no_more_than_so_many_are_worked_on_side_by_side() {
        let turns = Turns::new(100);
        let mut striking = Vec::new();
        for _ in 0..STRIKES {
            striking.push(turns.next(&account()).await);
        }
        assert!(turns.next(&account()).now_or_never().is_none());
        striking.iter().for_each(Turn::struck);
        assert!(turns.next(&account()).now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_can_not_be_struck_lets_others_begin_and_counts_once() {
        let turns = Turns::new(STRIKES + 2);
        let mut stuck = Vec::new();
        for _ in 0..STRIKES {
            stuck.push(turns.next(&account()).await);
        }
        stuck[0].make_place();
        let next = turns.next(&account()).await;
        assert!(turns.next(&account()).now_or_never().is_none());
        stuck[0].struck();
        assert!(turns.next(&account()).now_or_never().is_none());
        next.struck();
        assert!(turns.next(&account()).now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_waits_for_an_account_that_throttles_lets_the_next_one_look() {
        let turns = Turns::new(2);
        let turn = turns.next(&account()).await;
        let room = turn.look().await;
        turn.lend_room(true);
        assert_eq!(turns.looks.available_permits(), LOOKS - 1);
        let long_ago = Instant::now().checked_sub(LOOK_LOAN * 2).unwrap();
        *turn.taken() = Some(long_ago);
        turn.lend_room(false);
        assert_eq!(turns.looks.available_permits(), LOOKS - 1);
        turn.lend_room(true);
        assert_eq!(turns.looks.available_permits(), LOOKS);
        drop(room);
        assert_eq!(turns.looks.available_permits(), LOOKS);
    }

    #[tokio::test]
    async fn what_is_set_apart_is_struck_before_anybody_is_held() {
        let turns = Turns::new(1);
        let first = turns.next(&account()).await;
        assert!(first.room().await.is_none());
        first.more(1);
        first.struck();
        assert!(first.room().now_or_never().is_none());
        drop(turns.next(&account()).await);
        assert!(first.room().await.is_some());
    }
}
