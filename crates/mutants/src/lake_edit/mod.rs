//! A lake, opened for alteration: its Delta logs as JSON lines and its data files as rows.
//!
//! Nothing here is careful about crashes, and nothing is fsynced: lakes that are altered are copies. What an alteration
//! leaves alone stays byte for byte where that matters: files that are not written anew, and the order of keys.

pub mod books;
pub mod rows;

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A lake's folder.
#[derive(Debug, Clone)]
pub struct Lake {
    /// The folder.
    pub dir: PathBuf,
}

impl Lake {
    /// Names of its tables, `schema.table`, sorted.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn tables(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for schema in folders(&self.dir)? {
            for table in folders(&schema)? {
                if table.join("_delta_log").is_dir() {
                    names.push(format!("{}.{}", name_of(&schema), name_of(&table)));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a table.
    ///
    /// # Errors
    /// When it is not there, or its log cannot be read.
    pub fn table(&self, name: &str) -> Result<Table> {
        let (schema, table) = name.split_once('.').context("a table is named schema.table")?;
        let dir = self.dir.join(schema).join(table);
        let log = dir.join("_delta_log");
        let mut entries = Vec::new();
        for file in std::fs::read_dir(&log).with_context(|| format!("{name} has no log"))? {
            let path = file?.path();
            let version = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let (Some(version), Some("json")) = (version, path.extension().and_then(|e| e.to_str())) {
                entries.push(Entry::read(version, path)?);
            }
        }
        entries.sort_by_key(|entry| entry.version);
        Ok(Table { name: name.to_owned(), dir, entries })
    }
}

fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("{} cannot be listed", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// One version of a table: its actions, a line each.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Version.
    pub version: u64,
    /// Its file.
    pub path: PathBuf,
    /// Actions.
    pub lines: Vec<Value>,
}

impl Entry {
    fn read(version: u64, path: PathBuf) -> Result<Self> {
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let lines: std::result::Result<Vec<Value>, _> =
            text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect();
        Ok(Self { version, lines: lines.with_context(|| format!("{} is no entry", path.display()))?, path })
    }

    /// Writes it back.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn save(&self) -> Result<()> {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(&line.to_string());
            text.push('\n');
        }
        std::fs::write(&self.path, text).with_context(|| format!("{} cannot be written", self.path.display()))
    }

    /// `commitInfo`.
    pub fn info(&mut self) -> Option<&mut Value> {
        self.lines.iter_mut().find_map(|line| line.get_mut("commitInfo"))
    }

    /// The books.
    #[must_use]
    pub fn books(&self) -> Option<&Value> {
        self.lines.iter().find_map(|line| line.get("commitInfo")?.get("watertight"))
    }

    /// The books, to be altered.
    pub fn books_mut(&mut self) -> Option<&mut Value> {
        self.info()?.get_mut("watertight")
    }

    /// Whether it is an append of ours.
    #[must_use]
    pub fn is_append(&self) -> bool {
        self.books().and_then(|books| books["kind"].as_str()) == Some("append")
    }

    /// Lets the books say how many actions it has now.
    pub fn count_actions(&mut self) {
        let actions = self.lines.len();
        if let Some(count) = self.books_mut().and_then(|books| books.get_mut("log_actions")) {
            *count = json!(actions);
        }
    }

    /// The `add` of a file.
    pub fn add(&mut self, path: &str) -> Option<&mut Value> {
        self.lines.iter_mut().filter_map(|line| line.get_mut("add")).find(|add| add["path"] == path)
    }

    /// Lets `operationMetrics` say what its adds say now.
    fn count_metrics(&mut self) {
        let adds: Vec<&Value> = self.lines.iter().filter_map(|line| line.get("add")).collect();
        let rows: i64 = adds.iter().filter_map(|add| stats_of(add)?.get("numRecords")?.as_i64()).sum();
        let bytes: i64 = adds.iter().filter_map(|add| add["size"].as_i64()).sum();
        let files = adds.len();
        if let Some(metrics) = self.info().and_then(|info| info.get_mut("operationMetrics")) {
            metrics["numFiles"] = json!(files.to_string());
            metrics["numOutputRows"] = json!(rows.to_string());
            metrics["numOutputBytes"] = json!(bytes.to_string());
        }
    }
}

/// The statistics of an `add`.
#[must_use]
pub fn stats_of(add: &Value) -> Option<Value> {
    serde_json::from_str(add.get("stats")?.as_str()?).ok()
}

/// A file that the table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The version that added it.
    pub version: u64,
    /// Path relative to the table's folder.
    pub path: String,
}

/// A table, opened for alteration.
#[derive(Debug, Clone)]
pub struct Table {
    /// `schema.table`.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Its entries, ascending.
    pub entries: Vec<Entry>,
}

impl Table {
    /// The files that it holds, in the order in which they were added.
    #[must_use]
    pub fn live(&self) -> Vec<Live> {
        let mut live: Vec<Live> = Vec::new();
        for entry in &self.entries {
            for line in &entry.lines {
                if let Some(path) = line.get("remove").and_then(|remove| remove["path"].as_str()) {
                    live.retain(|file| file.path != path);
                }
                if let Some(path) = line.get("add").and_then(|add| add["path"].as_str()) {
                    live.push(Live { version: entry.version, path: path.to_owned() });
                }
            }
        }
        live
    }

    /// The entry of a version.
    ///
    /// # Errors
    /// When there is none.
    pub fn entry(&mut self, version: u64) -> Result<&mut Entry> {
        let found = self.entries.iter_mut().find(|entry| entry.version == version);
        found.with_context(|| format!("there is no version {version}"))
    }

    /// Where a version's entry lies.
    #[must_use]
    pub fn entry_path(&self, version: u64) -> PathBuf {
        self.dir.join("_delta_log").join(format!("{version:020}.json"))
    }

    /// Where a file lies.
    #[must_use]
    pub fn file(&self, live: &Live) -> PathBuf {
        self.dir.join(&live.path)
    }

    /// All rows of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn rows(&self, live: &Live) -> Result<RecordBatch> {
        rows::read(&self.file(live))
    }

    /// Writes a file anew, and corrects its entry: size, number of rows and nulls. The bounds of columns that were
    /// `edited` are left out, `*` stands for all: a bound that is not there is not wrong.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn rewrite(&mut self, live: &Live, rows: &RecordBatch, edited: &[&str]) -> Result<()> {
        let path = self.file(live);
        let size = rows::write(&path, &path, rows)?;
        let entry = self.entry(live.version)?;
        correct(entry.add(&live.path).context("the file has no add")?, rows, size, edited)?;
        entry.count_metrics();
        entry.save()
    }

    /// Writes a file anew and leaves its entry alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rewrite_only(&self, live: &Live, rows: &RecordBatch) -> Result<()> {
        let path = self.file(live);
        rows::write(&path, &path, rows).map(drop)
    }

    /// Adds a file with these rows in the entry that added `like`, under another name, in a folder of that date or in
    /// the same one. Gives its path.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn add_like(&mut self, like: &Live, rows: &RecordBatch, date: Option<&str>) -> Result<String> {
        let (path, mut add) = self.another(like, date)?;
        std::fs::create_dir_all(self.dir.join(&path).parent().context("a file has a folder")?)?;
        let size = rows::write(&self.dir.join(&path), &self.file(like), rows)?;
        correct(&mut add, rows, size, &["*"])?;
        let entry = self.entry(like.version)?;
        entry.lines.push(json!({ "add": add }));
        entry.count_actions();
        entry.count_metrics();
        entry.save()?;
        Ok(path)
    }

    /// A path and an `add` like those of `like`, under another name and perhaps on another date.
    ///
    /// # Errors
    /// When `like` has no `add`.
    pub fn another(&mut self, like: &Live, date: Option<&str>) -> Result<(String, Value)> {
        let mut add = self.entry(like.version)?.add(&like.path).context("the file has no add")?.clone();
        let (folder, name) = like.path.rsplit_once('/').unwrap_or(("", &like.path));
        let folder = match (date, folder.split_once('=')) {
            (Some(date), Some((column, _))) => {
                add["partitionValues"][column] = json!(date);
                format!("{column}={date}")
            }
            _ => folder.to_owned(),
        };
        let path = format!("{folder}/{}", name.replacen("part-", "part-9", 1));
        add["path"] = json!(path);
        Ok((path, add))
    }

    /// Takes a line out of an entry, and lets the entry count its actions anew where `counted`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remove_line(&mut self, version: u64, line: usize, counted: bool) -> Result<Value> {
        let entry = self.entry(version)?;
        let removed = entry.lines.remove(line);
        if counted {
            entry.count_actions();
            entry.count_metrics();
        }
        entry.save()?;
        Ok(removed)
    }

    /// Adds a version behind the newest one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, lines: Vec<Value>) -> Result<u64> {
        let version = self.entries.last().map_or(0, |entry| entry.version + 1);
        let entry = Entry { version, path: self.entry_path(version), lines };
        entry.save()?;
        self.entries.push(entry);
        Ok(version)
    }
}

fn correct(add: &mut Value, rows: &RecordBatch, size: u64, edited: &[&str]) -> Result<()> {
    add["size"] = json!(size);
    let Some(mut stats) = stats_of(add) else { return Ok(()) };
    stats["numRecords"] = json!(rows.num_rows());
    if let Some(nulls) = stats.get_mut("nullCount").and_then(Value::as_object_mut) {
        for (name, count) in nulls.iter_mut() {
            *count = json!(rows.column_by_name(name).map_or(0, |column| column.null_count()));
        }
    }
    for bounds in ["minValues", "maxValues"] {
        if let Some(bounds) = stats.get_mut(bounds).and_then(Value::as_object_mut) {
            bounds.retain(|name, _| !edited.contains(&"*") && !edited.contains(&name.as_str()));
        }
    }
    add["stats"] = json!(serde_json::to_string(&stats)?);
    Ok(())
}
