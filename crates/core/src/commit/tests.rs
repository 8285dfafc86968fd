use super::*;
use crate::position::PositionKey;

fn key() -> PositionKey {
    PositionKey { pipeline: "u".into(), topic: "t".into(), incarnation: "i".into(), partition: 0 }
}

/// Every combination of facts, checked against the rules as sentences rather than against the code's order.
#[test]
fn every_combination_of_facts_leads_to_the_one_allowed_decision() {
    let mut seen = 0;
    for stored_at in [None, Some(5), Some(9)] {
        for from in [None, Some(5), Some(9)] {
            for last_attempt in [LastAttempt::None, LastAttempt::Refused, LastAttempt::Unknown] {
                for bits in 0..16_u8 {
                    let (read_since, own_id_found, foreign_damage) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                    let follows_newest = bits & 8 != 0;
                    let stored: Positions = stored_at.map(|at| (key(), at)).into_iter().collect();
                    let steps = [PositionStep { key: key(), from, to: 9 }];
                    let facts = Facts {
                        stored: &stored,
                        steps: &steps,
                        last_attempt,
                        read_since,
                        own_id_found,
                        foreign_damage,
                        follows_newest,
                    };
                    let decision = decide(&facts);
                    let unresolved = last_attempt == LastAttempt::Unknown && !read_since;
                    seen += 1;
                    assert_eq!(
                        decision == Decision::ReadFirst,
                        unresolved,
                        "unknown is read before all else: {facts:?}"
                    );
                    if unresolved {
                        continue;
                    }
                    assert_eq!(decision == Decision::AlreadyCommitted, own_id_found, "{facts:?}");
                    if own_id_found {
                        continue;
                    }
                    assert_eq!(decision == Decision::Halt, foreign_damage, "{facts:?}");
                    if !foreign_damage {
                        let fits = stored_at == from;
                        assert_eq!(decision == Decision::Commit, fits && follows_newest, "{facts:?}");
                        assert_eq!(decision == Decision::Overtaken, fits && !follows_newest, "{facts:?}");
                        assert_eq!(matches!(decision, Decision::Stale(_)), stored_at != from, "{facts:?}");
                    }
                }
            }
        }
    }
    assert_eq!(seen, 3 * 3 * 3 * 16);
}

#[test]
fn an_append_follows_the_newest_or_names_none() {
    assert!(follows_newest(None, None) && follows_newest(None, Some("a")) && follows_newest(Some("a"), Some("a")));
    assert!(!follows_newest(Some("a"), Some("b")) && !follows_newest(Some("a"), None));
}

#[test]
fn a_step_back_is_never_committed() {
    let stored = Positions::from([(key(), 5)]);
    let steps = [PositionStep { key: key(), from: Some(5), to: 4 }];
    let facts = Facts {
        stored: &stored,
        steps: &steps,
        last_attempt: LastAttempt::None,
        read_since: true,
        own_id_found: false,
        foreign_damage: false,
        follows_newest: true,
    };
    assert_eq!(decide(&facts), Decision::Halt);
}
