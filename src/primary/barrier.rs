//! Who waits for what. A sync that must be in the store waits for the batch that covers it; a
//! full backlog holds writers back; a fenced primary answers everybody at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use crate::fuse::filesystem::{Answer, Reply};

use super::ticks::Ticks;

/// Who waits for what.
#[derive(Debug, Default)]
pub struct Barrier {
    /// Guards: the state of the gate and those who stand before it.
    gate: Mutex<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    state: State,
    /// Syncs that wait for the store, and were not yet covered by a look.
    syncs: Vec<Reply<()>>,
    /// Calls that wait for room in the backlog.
    parked: Vec<Reply<()>>,
}

/// What the gate lets pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Writers pass; syncs wait for the store if they are told to.
    #[default]
    Open,
    /// The backlog is full: writers wait.
    Blocked,
    /// The backlog is full and the operator chose to go on: nobody waits for the store.
    Loud,
    /// Another node is primary, or nobody ships any more: nothing is written.
    Fenced,
}

impl Barrier {
    /// What the gate lets pass now.
    pub fn state(&self) -> State {
        self.lock().state
    }

    /// Whether anything may be written at all.
    pub fn writable(&self) -> Answer<()> {
        if self.state() == State::Fenced { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// Answers when what the caller has synced is in the store.
    pub fn wait_for_store(&self, ticks: &Ticks, reply: Reply<()>) {
        let mut gate = self.lock();
        match gate.state {
            State::Open | State::Blocked => {
                gate.syncs.push(reply);
                drop(gate);
                ticks.ring();
            }
            State::Loud => answer_outside(gate, reply, Ok(())),
            State::Fenced => answer_outside(gate, reply, Err(Errno::EROFS)),
        }
    }

    /// Answers when there is room in the backlog: mostly at once.
    pub fn wait_for_room(&self, reply: Reply<()>) {
        let mut gate = self.lock();
        match gate.state {
            State::Open | State::Loud => answer_outside(gate, reply, Ok(())),
            State::Blocked => gate.parked.push(reply),
            State::Fenced => answer_outside(gate, reply, Err(Errno::EROFS)),
        }
    }

    /// Whether a sync waits for a look.
    pub(super) fn is_awaited(&self) -> bool {
        !self.lock().syncs.is_empty()
    }

    /// The syncs that the look which begins now will cover.
    pub(super) fn take_syncs(&self) -> Vec<Reply<()>> {
        std::mem::take(&mut self.lock().syncs)
    }

    /// These syncs were not covered after all.
    pub(super) fn return_syncs(&self, syncs: Vec<Reply<()>>) {
        for sync in syncs {
            let mut gate = self.lock();
            match gate.state {
                State::Open | State::Blocked => gate.syncs.push(sync),
                State::Loud => answer_outside(gate, sync, Ok(())),
                State::Fenced => answer_outside(gate, sync, Err(Errno::EROFS)),
            }
        }
    }

    /// Sets what the gate lets pass, and answers those who need not wait any more. A fence is
    /// final.
    pub(super) fn set(&self, state: State) {
        let mut gate = self.lock();
        if gate.state == state || gate.state == State::Fenced {
            return;
        }
        gate.state = state;
        let parked = take_if(&mut gate.parked, state != State::Blocked);
        let syncs = take_if(&mut gate.syncs, matches!(state, State::Loud | State::Fenced));
        drop(gate);
        let fenced = state == State::Fenced;
        for reply in parked.into_iter().chain(syncs) {
            reply.send(if fenced { Err(Errno::EROFS) } else { Ok(()) });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_if(replies: &mut Vec<Reply<()>>, wanted: bool) -> Vec<Reply<()>> {
    if wanted { std::mem::take(replies) } else { Vec::new() }
}

/// An answer may run any code: never under the lock.
fn answer_outside(gate: MutexGuard<'_, Gate>, reply: Reply<()>, answer: Answer<()>) {
    drop(gate);
    reply.send(answer);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::*;

    type Seen = Arc<Mutex<Option<Answer<()>>>>;

    fn asked() -> (Reply<()>, Seen) {
        let seen = Seen::default();
        let note = Arc::clone(&seen);
        (Reply::new(move |answer| *note.lock().unwrap() = Some(answer)), seen)
    }

    fn answer(seen: &Seen) -> Option<Answer<()>> {
        *seen.lock().unwrap()
    }

    #[test]
    fn a_full_backlog_holds_writers_until_there_is_room() {
        let barrier = Barrier::default();
        barrier.set(State::Blocked);
        let (reply, seen) = asked();
        barrier.wait_for_room(reply);
        assert_eq!(answer(&seen), None);
        barrier.set(State::Open);
        assert_eq!(answer(&seen), Some(Ok(())));
    }

    #[test]
    fn a_fence_answers_everybody_and_is_final() {
        let (barrier, ticks) = (Barrier::default(), Ticks::default());
        barrier.set(State::Blocked);
        let (room, room_seen) = asked();
        let (sync, sync_seen) = asked();
        barrier.wait_for_room(room);
        barrier.wait_for_store(&ticks, sync);
        barrier.set(State::Fenced);
        barrier.set(State::Open);
        assert_eq!(answer(&room_seen), Some(Err(Errno::EROFS)));
        assert_eq!(answer(&sync_seen), Some(Err(Errno::EROFS)));
        assert_eq!(barrier.writable(), Err(Errno::EROFS));
    }

    #[test]
    fn a_loud_primary_lets_syncs_pass() {
        let (barrier, ticks) = (Barrier::default(), Ticks::default());
        let (reply, seen) = asked();
        barrier.wait_for_store(&ticks, reply);
        assert!(barrier.is_awaited());
        barrier.set(State::Loud);
        assert_eq!(answer(&seen), Some(Ok(())));
    }
}
