//! The session in which models and checks are planned.

use super::exact::Exact;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use std::sync::Arc;

/// Rows per batch inside DataFusion: a fold's groups should come out in one piece.
const BATCH_ROWS: usize = 32_768;
/// A ratio above 1 is never reached: partial aggregation is always done, never skipped for many groups.
const NEVER_SKIP_PARTIAL: f64 = 2.0;

/// What the plans of a session are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planning {
    /// A pair of partial and final aggregation that can be taken apart: the two rules that would merge or rewrite
    /// the pair are left out.
    Streaming,
    /// DataFusion's own choice of rules.
    Batch,
}

/// A session without tables.
pub(crate) fn session(planning: Planning) -> datafusion::error::Result<SessionState> {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(BATCH_ROWS);
    let options = config.options_mut();
    options.execution.skip_partial_aggregation_probe_ratio_threshold = NEVER_SKIP_PARTIAL;
    options.execution.collect_statistics = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    let runtime = RuntimeEnvBuilder::new().build_arc()?;
    let builder = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    let mut builder = builder.with_analyzer_rule(Arc::new(Exact));
    if planning == Planning::Streaming {
        let mut logical = Optimizer::new().rules;
        logical.retain(|rule| rule.name() != "single_distinct_aggregation_to_group_by");
        let mut physical = PhysicalOptimizer::new().rules;
        physical.retain(|rule| rule.name() != "CombinePartialFinalAggregate");
        builder = builder.with_optimizer_rules(logical);
        builder = builder.with_physical_optimizer_rules(physical);
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_left_out_for_streaming_exist_by_these_names() {
        let batch = session(Planning::Batch).unwrap();
        let streaming = session(Planning::Streaming).unwrap();
        assert_eq!(batch.optimizers().len(), streaming.optimizers().len() + 1);
        assert_eq!(batch.physical_optimizers().len(), streaming.physical_optimizers().len() + 1);
        for state in [batch, streaming] {
            let rules: Vec<&str> = state.analyzer().rules.iter().map(|rule| rule.name()).collect();
            assert_eq!(rules.last(), Some(&"exact_arithmetic"), "after the coercion of types: {rules:?}");
        }
    }
}
