//! The tree, built from the parser's events.

use super::{below, mend};
use crate::problem::{Place, Report};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use std::collections::{BTreeMap, HashMap};

/// Nesting beyond this is refused: every reader of the tree is recursive.
const DEPTH_MAX: usize = 64;
/// Nodes that aliases may add in all; more is refused (aliases of aliases grow exponentially).
const ALIAS_NODES_MAX: usize = 20_000;

/// A node and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Scalar {
        /// What the file says; this is what problems show.
        shown: String,
        /// The same with variables filled in.
        text: String,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
    /// A value that could not be made out; the problem is reported already.
    Failed,
}

/// A key of a mapping and its value; equal keys are all kept.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Place,
    pub(crate) value: Node,
}

/// A node on the stack, with what is needed to place it when it ends.
pub(super) struct Built {
    pub(super) node: Node,
    /// Range in characters of the source.
    pub(super) range: (usize, usize),
    pub(super) plain: bool,
    /// A value of which the file says nothing at all.
    pub(super) absent: bool,
}

enum Open {
    Sequence { at: Place, anchor: usize, items: Vec<Node> },
    Mapping { at: Place, anchor: usize, parts: Vec<Built> },
}

struct Builder<'a> {
    source: &'a str,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    alias_nodes: usize,
    root: Option<Node>,
}

pub(super) fn build(text: &str, report: &mut Report) -> Option<Node> {
    let source = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder { source, open: Vec::new(), anchors: HashMap::new(), alias_nodes: 0, root: None };
    for event in Parser::new_from_str(source) {
        let taken =
            event.map_err(|error| syntax(source, &error)).and_then(|(event, span)| builder.take(event, span, report));
        if let Err((at, message, suggestion)) = taken {
            report.add(at, "", message, suggestion);
            return None;
        }
    }
    match builder.root {
        Some(Node { kind: Kind::Null, .. }) | None => {
            report.whole_file("the file is empty; `watertight init stocks` writes one to begin with".into());
            None
        }
        root => root,
    }
}

type Refusal = (Place, String, Option<String>);

fn place(mark: Marker) -> Place {
    Place {
        line: u32::try_from(mark.line()).unwrap_or(u32::MAX),
        column: u32::try_from(mark.col() + 1).unwrap_or(u32::MAX),
    }
}

/// Words a syntax error, with the advice that its line calls for.
fn syntax(source: &str, error: &ScanError) -> Refusal {
    let line = source.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or("");
    let suggestion = if line.contains("struct<") {
        Some("put the type in quotes: \"struct<a: int>\"".to_owned())
    } else if line.contains("${") {
        Some("inside { } and [ ], put a value with a variable in quotes: \"${VAR}\"".to_owned())
    } else if line.trim_start_matches([' ', '-']).starts_with('\t') {
        Some("indent with spaces, not tabs".to_owned())
    } else if line.matches(": ").count() > 1 && !line.contains('{') {
        Some("put a value that contains ': ' in quotes".to_owned())
    } else {
        None
    };
    (place(*error.marker()), format!("not valid YAML: {}", error.info()), suggestion)
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span, report: &mut Report) -> Result<(), Refusal> {
        let at = place(span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err((at, "a second document begins here".into(), Some("keep one pipeline in one file".into())))
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(at, tag.is_some())?;
                let plain = style == ScalarStyle::Plain;
                let nothing = text.is_empty();
                let kind = if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
                    Kind::Null
                } else {
                    Kind::Scalar { shown: text.to_string(), text: text.into_owned() }
                };
                let range = (span.start.index(), span.end.index());
                let absent = matches!(&kind, Kind::Null) && nothing;
                self.close(Built { node: Node { at, kind }, range, plain, absent }, anchor);
                Ok(())
            }
            Event::Alias(anchor) => {
                let mut node = self.anchors.get(&anchor).cloned().ok_or_else(|| {
                    (at, "an alias inside its own anchor".to_owned(), Some("write the value out".to_owned()))
                })?;
                self.alias_nodes += node.count();
                if self.alias_nodes > ALIAS_NODES_MAX {
                    return Err((at, format!("aliases expand to more than {ALIAS_NODES_MAX} nodes"), None));
                }
                node.at = at;
                self.close(Built { node, range: (0, 0), plain: false, absent: false }, 0);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(at, tag.is_some())?;
                self.begin(at, Open::Sequence { at, anchor, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(at, tag.is_some())?;
                self.begin(at, Open::Mapping { at, anchor, parts: Vec::new() })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (node, anchor) = match self.open.pop() {
                    Some(Open::Sequence { at, anchor, items }) => (Node { at, kind: Kind::Sequence(items) }, anchor),
                    Some(Open::Mapping { at, anchor, parts }) => {
                        let entries = entries(mend::flow_values(parts, self.source), report);
                        (Node { at, kind: Kind::Mapping(entries) }, anchor)
                    }
                    None => return Ok(()),
                };
                self.close(Built { node, range: (0, 0), plain: false, absent: false }, anchor);
                Ok(())
            }
        }
    }

    fn begin(&mut self, at: Place, open: Open) -> Result<(), Refusal> {
        if self.open.len() >= DEPTH_MAX {
            return Err((at, format!("nested more than {DEPTH_MAX} deep"), None));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, built: Built, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, built.node.clone());
        }
        match self.open.last_mut() {
            Some(Open::Sequence { items, .. }) => items.push(built.node),
            Some(Open::Mapping { parts, .. }) => parts.push(built),
            None => self.root = Some(built.node),
        }
    }
}

fn refuse_tag(at: Place, tagged: bool) -> Result<(), Refusal> {
    if tagged { Err((at, "tags (!…) have no meaning here".into(), Some("remove the tag".into()))) } else { Ok(()) }
}

/// Pairs keys with values; a key that isn't text is reported and left out.
fn entries(parts: Vec<Built>, report: &mut Report) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(parts.len() / 2);
    let mut parts = parts.into_iter();
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        match key.node.kind {
            Kind::Scalar { text, .. } => entries.push(Entry { key: text, at: key.node.at, value: value.node }),
            _ => report.add(key.node.at, "", "a key must be a plain word", None),
        }
    }
    entries
}

impl Node {
    fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Sequence(items) => items.iter().map(Self::count).sum(),
            Kind::Mapping(entries) => entries.iter().map(|entry| entry.value.count()).sum(),
            Kind::Null | Kind::Scalar { .. } | Kind::Failed => 0,
        }
    }

    /// The place of every value, by its path.
    pub(crate) fn places(&self) -> BTreeMap<String, (u32, u32)> {
        fn walk(node: &Node, path: &str, places: &mut BTreeMap<String, (u32, u32)>) {
            places.insert(path.to_owned(), (node.at.line, node.at.column));
            match &node.kind {
                Kind::Sequence(items) => {
                    for (index, item) in items.iter().enumerate() {
                        walk(item, &format!("{path}[{index}]"), places);
                    }
                }
                Kind::Mapping(entries) => {
                    for entry in entries {
                        walk(&entry.value, &below(path, &entry.key), places);
                    }
                }
                Kind::Null | Kind::Scalar { .. } | Kind::Failed => {}
            }
        }
        let mut places = BTreeMap::new();
        walk(self, "", &mut places);
        places
    }

    /// What the node is, for "expected …, found …".
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".into(),
            Kind::Scalar { shown, .. } => quoted(shown),
            Kind::Sequence(_) => "a list".into(),
            Kind::Mapping(_) => "a mapping".into(),
            Kind::Failed => "a value in error".into(),
        }
    }
}

/// `'text'`, escaped and cut to a length that fits a line.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .flat_map(char::escape_debug)
        .collect::<String>()
        .replace("\\'", "'")
        .replace("\\\"", "\"");
    if text.chars().count() > SHOWN_MAX {
        shown.push('…');
    }
    format!("'{shown}'")
}
