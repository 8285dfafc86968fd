//! Durable steps: the moments at which a disk is changed so that a guarantee rests on it, each with a name.
//!
//! Whoever changes a disk takes each of its steps through the [`Steps`] it was given. In what users run nothing stands
//! behind them. A test puts a hook there, and can fail, kill or leave out any step by its name, before or after: so
//! every crash point is reached on purpose, and a missing fsync can be planted to see that the tests catch it.
//!
//! Never: decides anything by itself, or touches a disk.

mod names;

pub use names::*;

use std::fmt;
use std::io;
use std::sync::Arc;

/// On which side of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Nothing of it is done yet.
    Before,
    /// It is done; whoever asked for it does not know yet.
    After,
}

/// What is to be done with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// It is taken.
    Take,
    /// It is left out, and passes for done: a planted fault.
    LeaveOut,
}

/// What is asked at each moment; an error it returns is taken as the operating system's. What it answers after a step
/// is not looked at.
type Hook = dyn Fn(&'static str, Moment) -> io::Result<Course> + Send + Sync;

/// The way to take durable steps, with nothing or a test's hook behind it.
#[derive(Clone, Default)]
pub struct Steps(Option<Arc<Hook>>);

impl Steps {
    /// Asks `hook` before and after every step.
    pub fn new(hook: impl Fn(&'static str, Moment) -> io::Result<Course> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Says that a step comes next.
    ///
    /// # Errors
    /// What the hook returns.
    pub fn before(&self, step: &'static str) -> io::Result<Course> {
        self.0.as_ref().map_or(Ok(Course::Take), |hook| hook(step, Moment::Before))
    }

    /// Says that a step was taken.
    ///
    /// # Errors
    /// What the hook returns: the step is done all the same.
    pub fn after(&self, step: &'static str) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |hook| hook(step, Moment::After).map(drop))
    }

    /// Takes a step.
    ///
    /// # Errors
    /// The action's, or what the hook returns before or after it.
    pub fn take<E: From<io::Error>>(
        &self,
        step: &'static str,
        action: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        match self.before(step)? {
            Course::Take => action()?,
            Course::LeaveOut => {}
        }
        Ok(self.after(step)?)
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Steps(hooked)" } else { "Steps" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Mutex;

    #[test]
    fn each_step_has_one_name_and_stands_once_in_the_list() {
        let names: HashSet<&str> = ALL.into_iter().collect();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn a_step_is_taken_failed_or_left_out_as_the_hook_says() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let steps = Steps::new(move |step, moment| {
            seen.lock().unwrap().push((step, moment));
            match (step, moment) {
                (DELTA_DATA_SYNC, _) => Ok(Course::LeaveOut),
                (DELTA_ENTRY_LINK, Moment::After) => Err(io::ErrorKind::Other.into()),
                _ => Ok(Course::Take),
            }
        });
        let mut done = Vec::new();
        for step in [DELTA_DATA_WRITE, DELTA_DATA_SYNC, DELTA_ENTRY_LINK] {
            let taken: io::Result<()> = steps.take(step, || {
                done.push(step);
                Ok(())
            });
            assert_eq!(taken.is_err(), step == DELTA_ENTRY_LINK);
        }
        assert_eq!(done, [DELTA_DATA_WRITE, DELTA_ENTRY_LINK]);
        assert_eq!(asked.lock().unwrap().len(), 6);
        assert!(Steps::default().take::<io::Error>(DELTA_DATA_WRITE, || Ok(())).is_ok());
    }
}
