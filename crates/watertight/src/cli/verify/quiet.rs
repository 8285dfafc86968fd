//! A panic that is caught and told in our own words says nothing on standard error.

use std::panic;
use watertight_verify::guard;

/// From here on. Every other panic is a defect, and shown as before.
pub(super) fn about_caught_panics() {
    let shown = panic::take_hook();
    panic::set_hook(Box::new(move |about| {
        if !guard::is_inside() {
            shown(about);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_panic_that_is_caught_is_silent_and_another_is_shown() {
        let (shown, here) = (Arc::new(AtomicU32::new(0)), std::thread::current().id());
        let count = Arc::clone(&shown);
        let before = panic::take_hook();
        // Other tests may panic meanwhile, and are shown.
        panic::set_hook(Box::new(move |about| {
            if std::thread::current().id() == here {
                count.fetch_add(1, Ordering::SeqCst);
            } else {
                before(about);
            }
        }));
        about_caught_panics();
        let caught = guard::guarded::<()>(|| panic!("planted"));
        let silent = shown.load(Ordering::SeqCst);
        let other = panic::catch_unwind::<_, ()>(|| panic!("planted"));
        let told = shown.load(Ordering::SeqCst);
        let _ours = panic::take_hook();
        assert!(caught.is_none() && other.is_err());
        assert_eq!((silent, told), (0, 1));
    }
}
