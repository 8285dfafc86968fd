//! One table of keys: the reader, the committed schema and the reference agree on it.

use super::{fixtures, load, same_as_committed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn schema() -> Value {
    serde_json::from_str(&watertight_config::json_schema()).expect("json")
}

/// Every key of the schema, by section.
fn keys_of_the_schema() -> BTreeSet<(String, String)> {
    let schema = schema();
    let sections = schema["$defs"].as_object().expect("definitions").iter().map(|(id, section)| (id.as_str(), section));
    sections
        .chain([("pipeline", &schema)])
        .flat_map(|(id, section)| {
            let properties = section["properties"].as_object().expect("properties");
            properties.keys().map(move |key| (id.to_owned(), key.clone())).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_committed_schema_is_the_one_that_is_printed() {
    same_as_committed(&repository("schema/pipeline.schema.json"), &watertight_config::json_schema());
}

#[test]
fn the_reader_takes_every_key_of_the_schema_and_no_other() {
    // Each key is misspelt in files that use all of them: the reader knew the key if it now doesn't.
    let folder = fixtures("good");
    let files = ["every_key.yaml", "every_key_of_kafka.yaml"];
    let texts = files.map(|file| std::fs::read_to_string(folder.join(file)).expect("fixture"));
    let names: BTreeSet<String> = keys_of_the_schema().into_iter().map(|(_, key)| key).collect();
    for name in &names {
        // A secret stands in the file once: by itself, or by the file or the variable that holds it.
        let ending = ["_file", "_env"].iter().find_map(|ending| name.strip_suffix(ending));
        let twin = ending.filter(|base| names.contains(*base));
        let mut found = 0;
        for text in &texts {
            let text = twin.map_or_else(|| text.clone(), |base| text.replace(&format!("{base}:"), &format!("{name}:")));
            for at in text.match_indices(&format!("{name}:")).map(|(at, _)| at) {
                if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
                    continue;
                }
                found += 1;
                let bad = format!("{}zz_{}", &text[..at], &text[at..]);
                let problems = watertight_config::load(Path::new("bad.yaml"), &|_| None, &|_| Ok(bad.clone()));
                let problems = problems.expect_err(name).to_string();
                assert!(problems.contains(&format!("unknown key 'zz_{name}'")), "{name}: {problems}");
            }
        }
        assert!(found > 0, "{files:?} use {name}");
    }
    for file in files {
        load(&folder, file).expect("and as it stands it is right");
    }
}

#[test]
fn the_reference_names_every_key_with_its_default() {
    let path = repository("docs/PIPELINE_FILE.md");
    let text = std::fs::read_to_string(&path).expect("docs/PIPELINE_FILE.md");
    let (begin, end) = ("<!-- keys: printed from crates/config/src/keys.rs -->\n", "<!-- end of keys -->");
    let head = text.split_once(begin).expect("begin mark").0;
    let tail = text.split_once(end).expect("end mark").1;
    let want = format!("{head}{begin}\n{}{end}{tail}", watertight_config::reference());
    same_as_committed(&path, &want);
    for (section, key) in keys_of_the_schema() {
        assert!(want.contains(&format!("| `{key}` |")), "{section}.{key} is not in the reference");
    }
}
