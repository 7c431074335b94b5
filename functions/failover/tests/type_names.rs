//! Every type has a name that no other type of the crate has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The types that a source declares for others.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (shown, rest) = line.trim_start().split_once(' ')?;
        let (kind, rest) = rest.split_once(' ')?;
        let is_type = shown.starts_with("pub") && ["struct", "enum", "type", "trait"].contains(&kind);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        is_type.then(|| &rest[..end])
    })
}

/// What two or more files declare, and which those are.
fn twice(texts: &[(String, String)]) -> BTreeMap<&str, Vec<&str>> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, text) in texts {
        for name in declared(text) {
            places.entry(name).or_default().push(file);
        }
    }
    places.retain(|_, files| files.len() > 1);
    places
}

#[test]
fn no_two_types_bear_one_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_test = |path: &Path| path.iter().any(|part| part == "tests" || part == "tests.rs");
    let texts: Vec<(String, String)> = sources(&root)
        .into_iter()
        .filter(|path| !is_test(path.strip_prefix(&root).unwrap()))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(texts.iter().flat_map(|(_, text)| declared(text)).count() > 100, "types are not found");
    let twice = twice(&texts);
    assert!(twice.is_empty(), "{twice:#?}");
}

#[test]
fn a_name_that_is_given_twice_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let texts = [
        file("one", "pub struct Stage {\n}\nstruct Odds;\npub enum Gate {"),
        file("two", "    pub(super) enum Stage {\npub struct Odds;"),
    ];
    assert_eq!(twice(&texts), BTreeMap::from([("Stage", vec!["one", "two"])]));
}
