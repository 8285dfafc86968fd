//! Which topics a stream reads, where it reads several: those of a list, or those whose names match a pattern.
//!
//! The order of the names is the order of the topics wherever one is needed (docs/adr/0019).

use super::StreamDef;
use crate::port::{ErrorKind, EventLog, PortError};
use regex::Regex;
use std::fmt;

/// Most topics that one stream reads: each has a reader of its own, on Kafka a client with its connections and buffer.
pub const TOPICS_MAX: usize = 64;

/// What internal topics begin with; no pattern matches them.
const INTERNAL: &str = "__";

/// The topics of a stream that reads several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    /// These, in order, each once.
    List(Vec<String>),
    /// Those of the log whose names match, now and later.
    Pattern(TopicPattern),
}

/// A regular expression for the whole name of a topic.
#[derive(Debug, Clone)]
pub struct TopicPattern {
    text: String,
    whole: Regex,
}

impl TopicPattern {
    /// Reads an expression of the crate `regex`, which matches in time linear to the name.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        // By itself first: what is wrong is told of the expression as it was written.
        let read = |text: &str| Regex::new(text).map_err(|error| last_line(&error.to_string()));
        read(text)?;
        Ok(Self { text: text.to_owned(), whole: read(&format!("^(?:{text})$"))? })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a topic of this name is meant.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        !topic.starts_with(INTERNAL) && self.whole.is_match(topic)
    }
}

/// The parser's report draws the expression and a caret over several lines; the last one says what is wrong.
fn last_line(report: &str) -> String {
    let line = report.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().trim_start_matches("error: ").to_owned()
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TopicPattern {}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(names) => f.write_str(&names.join(", ")),
            Self::Pattern(pattern) => write!(f, "/{}/", pattern.text()),
        }
    }
}

impl StreamDef {
    /// The topics as people are told of them: names, or `/pattern/`.
    #[must_use]
    pub fn topics_shown(&self) -> String {
        self.topics.as_ref().map_or_else(|| self.topic.clone(), Topics::to_string)
    }

    /// The topics that are named in the pipeline file, in order; none where a pattern says which.
    #[must_use]
    pub fn topics_named(&self) -> Vec<String> {
        match &self.topics {
            None => vec![self.topic.clone()],
            Some(Topics::List(names)) => names.clone(),
            Some(Topics::Pattern(_)) => Vec::new(),
        }
    }

    /// Whether it reads a topic of this name.
    #[must_use]
    pub fn reads(&self, topic: &str) -> bool {
        match &self.topics {
            None => self.topic == topic,
            Some(Topics::List(names)) => names.iter().any(|name| name == topic),
            Some(Topics::Pattern(pattern)) => pattern.matches(topic),
        }
    }

    /// The topics to read now, in order: those that are named, whether they are there or not, or those of the log that
    /// match. The log is asked only where there is a pattern.
    ///
    /// # Errors
    /// When the log cannot be asked; `Stop` where more than [`TOPICS_MAX`] match.
    pub fn topics_now(&self, log: &dyn EventLog) -> Result<Vec<String>, PortError> {
        let Some(Topics::Pattern(pattern)) = &self.topics else { return Ok(self.topics_named()) };
        let mut names = log.topics()?;
        names.retain(|name| pattern.matches(name));
        if names.len() > TOPICS_MAX {
            let message = format!(
                "{} topics match /{}/ of stream {}, which can read {TOPICS_MAX}: narrow the pattern, or split the stream",
                names.len(),
                pattern.text(),
                self.name
            );
            return Err(PortError::new(ErrorKind::Stop, message));
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_the_whole_name_and_never_for_an_internal_topic() {
        let pattern = TopicPattern::new("orders-.*|returns").expect("reads");
        for name in ["orders-", "orders-eu", "returns"] {
            assert!(pattern.matches(name), "{name}");
        }
        for name in ["my-orders-eu", "returns-eu", "order", ""] {
            assert!(!pattern.matches(name), "{name}");
        }
        let all = TopicPattern::new(".*").expect("reads");
        assert!(all.matches("_a") && !all.matches("__consumer_offsets"));
        assert_eq!(TopicPattern::new(".*"), Ok(all));
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_told_in_one_line() {
        for (text, said) in
            [("a(b", "unclosed group"), ("*", "repetition operator missing expression"), ("a)(b", "unopened group")]
        {
            assert_eq!(TopicPattern::new(text).expect_err("is none"), said);
        }
    }
}
