//! The floors of the crate: each knows those below it and none above.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up.
const FLOORS: [&str; 9] = ["duration", "verdict", "model", "input", "wire", "plan", "run", "report", "aws"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// What a line of code takes from another module at the root of the crate. Comments may point anywhere.
fn imports(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let word =
        |rest: &'_ str| rest.len() - rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
    code.split("crate::").skip(1).map(|rest| &rest[..word(rest)]).filter(|name| !name.is_empty()).collect()
}

/// The lines of a file on a floor that know what stands above it.
fn upwards<'a>(floor: &str, text: &'a str) -> Vec<&'a str> {
    let height = |name: &str| FLOORS.iter().position(|floor| *floor == name);
    let above = |name: &&str| height(name) > height(floor);
    text.lines().filter(|line| imports(line).iter().any(above)).collect()
}

#[test]
fn no_floor_knows_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = Vec::new();
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        // What a plan says is tested with what a run makes of it.
        let is_test = inside.iter().any(|part| part == "tests" || part == "tests.rs");
        if is_test || ["lib", "testing"].contains(&first) {
            continue;
        }
        assert!(FLOORS.contains(&first), "{first} is no floor: give it a place in one");
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("use crate::{"), "{}: import by floor", inside.display());
        let lines = upwards(first, &text);
        assert!(lines.is_empty(), "{}: {lines:#?}", inside.display());
        seen.push(first.to_owned());
    }
    for floor in FLOORS {
        assert!(seen.iter().any(|one| one == floor), "there is no {floor}");
    }
}

#[test]
fn a_line_that_looks_up_is_found() {
    assert_eq!(upwards("model", "use crate::plan::Found;"), ["use crate::plan::Found;"]);
    assert_eq!(upwards("verdict", "    crate::model::text::cut(a, 1)").len(), 1);
    assert!(upwards("run", "use crate::plan::Found;\n/// See [`crate::report`].").is_empty());
}
