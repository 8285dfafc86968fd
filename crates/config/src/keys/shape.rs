//! What a key is: its shape, whether it must be there, and what else it may be called.

/// What stands behind a key.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Any text; `hint` says what it means, for "expected …".
    Text { hint: &'static str },
    /// Text that is never shown. Behind `<key>` it stands itself, behind `<key>_file` the path of a file that holds it,
    /// behind `<key>_env` the name of an environment variable that does.
    Secret { hint: &'static str },
    /// A name that becomes paths and SQL.
    Name,
    /// true or false.
    Bool,
    /// A whole number within bounds.
    Whole { min: u64, max: u64 },
    /// A duration within bounds, in microseconds.
    Duration { min: i64, max: i64 },
    /// A size within bounds, in bytes.
    Size { min: u64, max: u64 },
    /// A date or an RFC 3339 time.
    Instant,
    /// `earliest`, `latest`, a date or an RFC 3339 time.
    Start,
    /// A mapping from partitions to offsets.
    Offsets,
    /// A mapping from names of a library's properties, which may hold dots, to plain values.
    Properties,
    /// The same to secrets, each by one of the names that [`Shape::Secret`] has.
    Secrets,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A type in text, such as `decimal(18,4)`.
    Type,
    /// A list of a shape, with at least one item.
    List(&'static Shape),
    /// A mapping from names to a shape.
    Named(&'static Shape),
    /// A mapping with these keys.
    Keys(&'static Section),
    /// Either of two shapes, told apart by whether they are text, a list or a mapping.
    Either(&'static Shape, &'static Shape),
}

/// A mapping with a fixed set of keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// Identifier in the JSON Schema.
    pub(crate) id: &'static str,
    /// What it is, with its article, for problems and the reference.
    pub(crate) what: &'static str,
    pub(crate) keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    pub(crate) shape: Shape,
    pub(crate) doc: &'static str,
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It must be there.
    Required,
    /// Of the keys that are so marked, one must be there, and no more than one.
    OneOfThese,
    /// Nothing holds, or what `doc` says.
    Optional,
    /// This holds, as if it had been written.
    Default(&'static str),
}

/// How a secret is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretForm {
    /// It stands there itself.
    Text,
    /// By the path of a file that holds it.
    File,
    /// By the name of an environment variable that holds it.
    Env,
}

/// The forms of which a key tells, and what it ends in then.
const SECRET_ENDINGS: &[(SecretForm, &str)] = &[(SecretForm::File, "_file"), (SecretForm::Env, "_env")];

impl SecretForm {
    /// The secret that a key is about, and how it is given.
    pub(crate) fn of(key: &str) -> (&str, Self) {
        let named = SECRET_ENDINGS.iter().find_map(|(form, ending)| Some((key.strip_suffix(*ending)?, *form)));
        named.filter(|(name, _)| !name.is_empty()).unwrap_or((key, Self::Text))
    }
}

impl Section {
    /// The key of this name; of a secret, also by its other names.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name || key.other_names().any(|(_, other)| other == name))
    }

    /// Every name that may be written.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.keys.iter().flat_map(Key::all_names)
    }
}

impl Key {
    /// A secret's other names, behind which stands where it is.
    pub(crate) fn other_names(&self) -> impl Iterator<Item = (SecretForm, String)> {
        let endings = if matches!(self.shape, Shape::Secret { .. }) { SECRET_ENDINGS } else { &[] };
        endings.iter().map(|(form, ending)| (*form, format!("{}{ending}", self.name)))
    }

    /// Its name, and its others where it has some.
    pub(crate) fn all_names(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.name.to_owned()).chain(self.other_names().map(|(_, name)| name))
    }
}
