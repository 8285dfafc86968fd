//! What every lake must do: one suite, run on the lake in memory and on Delta tables on local disk.

mod adapters;
mod commits;
mod opening;
mod rows;

pub(crate) use adapters::{DeltaBench, Foreign, LakeBench, MemoryBench};
pub(crate) use rows::{all_types, request, rows_of, some_rows, spec, step};

/// Runs each test of the suite on each adapter.
macro_rules! on_every_lake {
    ($($suite:ident: $($name:ident),+;)+) => {
        mod memory {
            $($(#[test] fn $name() { super::$suite::$name(&super::MemoryBench::new()); })+)+
        }
        mod delta {
            $($(#[test] fn $name() { super::$suite::$name(&super::DeltaBench::new()); })+)+
        }
    };
}

on_every_lake! {
    opening:
        a_new_table_has_its_columns_and_nothing_else,
        a_table_of_another_pipeline_is_refused,
        a_table_that_is_not_there_is_looked_at_as_none,
        a_table_keeps_its_id_and_one_that_is_made_anew_has_another,
        a_table_opened_for_reading_refuses_to_write,
        a_new_nullable_column_is_added_and_old_rows_have_null_there,
        a_column_no_longer_declared_stays_and_is_written_as_null,
        a_changed_type_or_a_new_required_column_stops_with_advice,
        a_specification_that_no_table_can_have_is_refused,
        state_and_books_read_back_whole_after_reopening;
    commits:
        a_commit_makes_positions_and_files_visible_together,
        rows_of_every_type_read_back_equal,
        columns_are_read_in_the_order_asked_for,
        the_same_commit_again_is_applied_once,
        a_commit_without_positions_is_applied_once_also_after_reopening,
        a_lost_answer_is_resolved_by_reading_back,
        the_loser_of_a_race_is_fenced_and_changes_nothing,
        a_commit_that_moves_no_position_is_fenced_by_the_append_it_follows,
        every_commit_between_is_checked_for_moved_positions,
        a_commit_is_rebased_over_commits_that_moved_none_of_its_positions,
        a_commit_is_rebased_over_another_programs_compaction,
        another_programs_changes_stop_the_table,
        an_own_commit_below_another_programs_change_is_still_found,
        commits_are_told_oldest_first_with_their_files,
        a_step_back_or_a_foreign_position_is_a_defect,
        rows_of_another_day_or_shape_are_not_staged;
}
