//! What an error of the state folder means for the part that met it.

use watertight_core::port::{ErrorKind, PortError};
use watertight_state::StateError;

/// What may pass (no space, no permission, a folder that was just deleted, a job that still holds it) is tried again;
/// all else stops the part, with advice.
pub(crate) fn unusable(error: StateError) -> PortError {
    let advice = "the state folder cannot be used; free space or fix its permissions, or delete it: it is rebuilt from the tables";
    let message = format!("{advice}: {error}");
    if is_gone(&error) {
        return PortError::new(ErrorKind::Retry, message); // Whoever comes back makes the folder anew.
    }
    let kind = match PortError::from(error).kind {
        kind @ (ErrorKind::Retry | ErrorKind::Unknown | ErrorKind::Bug) => kind,
        _ => ErrorKind::Stop,
    };
    PortError::new(kind, message)
}

/// Whether a file or folder is not there: deleted while it was in use.
pub(crate) fn is_gone(error: &StateError) -> bool {
    matches!(error, StateError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind as Io;

    #[test]
    fn what_may_pass_is_tried_again_and_all_else_stops_with_advice() {
        let io = |kind: Io| StateError::Io { what: "writing".to_owned(), source: kind.into() };
        for passing in [Io::StorageFull, Io::PermissionDenied, Io::ReadOnlyFilesystem, Io::NotFound] {
            assert_eq!(unusable(io(passing)).kind, ErrorKind::Retry, "{passing:?}");
        }
        let stopping = unusable(io(Io::NotADirectory));
        assert_eq!(stopping.kind, ErrorKind::Stop);
        assert!(stopping.message.contains("delete it: it is rebuilt from the tables"), "{stopping}");
        assert_eq!(unusable(StateError::DamagedRun("a block")).kind, ErrorKind::Stop);
        assert_eq!(unusable(StateError::NoBase).kind, ErrorKind::Bug);
    }
}
