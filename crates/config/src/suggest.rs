//! "Did you mean": the known word nearest to one that isn't known.

/// The nearest of `known` as a suggestion, if one is near enough not to mislead.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = word.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.len().min(lower.len()) / 4 && *distance < candidate.len()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean '{candidate}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["columns", "checks", "topic"];
        assert_eq!(did_you_mean("colums", known).as_deref(), Some("did you mean 'columns'?"));
        assert_eq!(did_you_mean("Topic", known).as_deref(), Some("did you mean 'topic'?"));
        assert_eq!(did_you_mean("frobnicate", known), None);
        assert_eq!(did_you_mean("x", ["y"]), None, "a whole replacement is no suggestion");
    }
}
