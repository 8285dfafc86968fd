//! Group commit within a process: callers queue, one of them writes for all.
//!
//! Contract: every ticket is answered exactly once, also when the writing thread panics. Batches are written in the
//! order in which they were queued. Nothing here touches a disk.

use super::block::Block;
use super::partition::locked;
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};
use watertight_core::port::{ErrorKind, PortError};

/// Bytes written before one sync at most: more would make callers wait without saving syncs that matter.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// What a caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Durable, the first record at this offset.
    Durable(i64),
    /// Not durable as far as is known.
    Failed(ErrorKind, String),
    /// The topic was removed: nothing was written.
    Removed,
}

/// The batches that wait for a partition.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    turned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    next_ticket: u64,
    waiting: VecDeque<(u64, Block)>,
    answers: HashMap<u64, Answer>,
    leading: bool,
}

/// A group being written; dropped without an answer (a panic), it answers `Unknown`.
struct Group<'a> {
    queue: &'a Queue,
    tickets: Vec<u64>,
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.queue.state);
        state.leading = false;
        for ticket in self.tickets.drain(..) {
            let text = "the thread that wrote this batch for others panicked; read the tail back".to_owned();
            state.answers.insert(ticket, Answer::Failed(ErrorKind::Unknown, text));
        }
        drop(state);
        self.queue.turned.notify_all();
    }
}

impl Queue {
    /// Hands in a block and waits for its answer; `write` writes a group and answers for each of its blocks.
    pub(super) fn submit(&self, block: Block, write: impl Fn(&mut [Block]) -> Vec<Answer>) -> Answer {
        let mut state = locked(&self.state);
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back((ticket, block));
        loop {
            if let Some(answer) = state.answers.remove(&ticket) {
                return answer;
            }
            if state.leading {
                state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.leading = true;
            let (tickets, mut blocks) = take_group(&mut state.waiting);
            drop(state);
            let mut group = Group { queue: self, tickets };
            let answers = write(&mut blocks);
            locked(&self.state).answers.extend(group.tickets.drain(..).zip(answers));
            drop(group);
            state = locked(&self.state);
        }
    }
}

fn take_group(waiting: &mut VecDeque<(u64, Block)>) -> (Vec<u64>, Vec<Block>) {
    let mut bytes = 0;
    let mut tickets = Vec::new();
    let mut blocks = Vec::new();
    while let Some((_, block)) = waiting.front() {
        bytes += block.bytes().len();
        if !blocks.is_empty() && bytes > GROUP_BYTES_MAX {
            break;
        }
        if let Some((ticket, block)) = waiting.pop_front() {
            tickets.push(ticket);
            blocks.push(block);
        }
    }
    (tickets, blocks)
}

impl Answer {
    /// The same answer as a result.
    pub(super) fn failed(error: &PortError) -> Self {
        Self::Failed(error.kind, error.chain())
    }
}
