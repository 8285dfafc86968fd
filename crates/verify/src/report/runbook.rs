//! Which runbook belongs to which code: one for each way of going on.

use crate::finding::Code;

/// The runbook for what could not be checked.
pub(super) const CANNOT_CHECK: &str = "docs/runbooks/cannot-check.md";

/// Path of the runbook of a code, relative to the repository.
#[must_use]
pub const fn runbook(code: Code) -> &'static str {
    match code {
        Code::OffsetsLost | Code::OffsetsRetention | Code::OffsetsDeclared | Code::RowLost | Code::DeadLetterLost => {
            "docs/runbooks/lost.md"
        }
        Code::OffsetsDoubled | Code::AddedTwice | Code::IdDoubled | Code::IdNotFirst => "docs/runbooks/doubled.md",
        Code::OffsetsOrder
        | Code::OffsetsOutside
        | Code::RowUnfounded
        | Code::RowValue
        | Code::RowInvalid
        | Code::RowLate
        | Code::RowDate
        | Code::RowDerived
        | Code::DeadLetterUnfounded
        | Code::DeadLetterBytes
        | Code::DeadLetterReasons
        | Code::ForeignCommit
        | Code::ForeignChange
        | Code::SchemaChange
        | Code::PathEscapes
        | Code::CertificateChanged
        | Code::CertificateSignature => "docs/runbooks/altered.md",
        Code::TableMissing
        | Code::VersionMissing
        | Code::EntryUnreadable
        | Code::EntryIncomplete
        | Code::CheckpointUnreadable
        | Code::CheckpointDiffers
        | Code::FileMissing
        | Code::FileSize
        | Code::FileUnreadable
        | Code::FileRows
        | Code::FileSchema
        | Code::FilePartition
        | Code::Statistics
        | Code::Orphan => "docs/runbooks/damaged-files.md",
        Code::BooksUnreadable
        | Code::BooksUnbalanced
        | Code::BooksChain
        | Code::BooksPosition
        | Code::BooksRange
        | Code::BooksCount
        | Code::BooksChecksum
        | Code::BooksCopy
        | Code::RewriteChanged
        | Code::DefinitionMissing => "docs/runbooks/books.md",
        Code::TableAnew
        | Code::WindowMissing
        | Code::WindowExtra
        | Code::WindowDoubled
        | Code::WindowDifferent
        | Code::WindowLate
        | Code::ServingDifferent => "docs/runbooks/gold.md",
        Code::LedgerMissing | Code::LedgerExtra | Code::LedgerPosition => "docs/runbooks/ledger.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_code_has_a_runbook_that_is_there_and_names_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for code in Code::ALL {
            let path = root.join(runbook(*code));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(text.contains(&format!("`{}`", code.name())), "{} does not name {}", runbook(*code), code.name());
        }
        assert!(root.join(CANNOT_CHECK).is_file());
    }

    #[test]
    fn every_code_is_listed_in_the_document_with_what_it_means() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/VERIFY.md");
        let text = std::fs::read_to_string(path).expect("docs/VERIFY.md is there");
        for code in Code::ALL {
            let meaning = code.meaning();
            let line = text.lines().find(|line| line.starts_with(&format!("| `{}` |", code.name())));
            let line = line.unwrap_or_else(|| panic!("{} is not listed", code.name()));
            assert!(line.contains(meaning.means), "{}: the document says something else", code.name());
        }
    }
}
