//! The endings of [`RunEnding`] are those of the definition, the template and the pages.

use std::fs;
use std::path::Path;

use failover::model::{Operation, RunEnding};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

fn names() -> Vec<&'static str> {
    RunEnding::ALL.map(RunEnding::name).to_vec()
}

#[test]
fn every_ending_is_found_by_its_name_alone() {
    for ending in RunEnding::ALL {
        assert_eq!(RunEnding::of(ending.name()), Some(ending));
    }
    for other in ["Completed", "Unchanged", "States.Runtime", ""] {
        assert_eq!(RunEnding::of(other), None, "{other}");
    }
}

/// A restore starts by itself after any other error.
#[test]
fn the_template_restores_after_every_error_but_these() {
    let template = read("infra/template.yaml");
    let lists: Vec<&str> = template.split("anything-but:").skip(1).collect();
    assert_eq!(lists.len(), 1, "there is another list of errors: check it here too");
    let list = lists[0].split_once('[').unwrap().1.split_once(']').unwrap().0;
    assert_eq!(list.split(',').map(str::trim).collect::<Vec<_>>(), names());
}

#[test]
fn the_table_of_endings_lists_these_and_says_who_is_paged() {
    let page = read("README.md");
    let (_, table) = page.split_once("| error | what is left behind |").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.iter().map(|row| row[0].trim_matches('`')).collect::<Vec<_>>(), names());
    for (row, ending) in rows.iter().zip(RunEnding::ALL) {
        let pages = match (ending.pages(None), ending.pages(Some(Operation::Failback))) {
            (true, _) => "yes",
            (false, true) => "only after a `failback`",
            (false, false) => "no",
        };
        let said = row.last().unwrap();
        assert_eq!(said.split(':').next().unwrap(), pages, "{ending:?}");
    }
}

/// The endings that a text names, in their order.
fn named(text: &str) -> Vec<&'static str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    names().into_iter().filter(|name| words.contains(name)).collect()
}

fn that_page(pages: bool) -> Vec<&'static str> {
    RunEnding::ALL.into_iter().filter(|ending| ending.pages(None) == pages).map(RunEnding::name).collect()
}

/// What follows `begin` in a text, up to `end`.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("there is no {begin:?}"));
    rest.split_once(end).unwrap_or_else(|| panic!("nothing ends with {end:?} after {begin:?}")).0
}

#[test]
fn the_definition_knows_no_other_and_says_which_need_somebody() {
    let definition = read("statemachine/failover.asl.json");
    let states: serde_json::Value = serde_json::from_str(&definition).unwrap();
    for (state, pages) in [("Failed", false), ("NeedsOperator", true)] {
        let comment = states["States"][state]["Comment"].as_str().unwrap();
        assert_eq!(named(comment), that_page(pages), "{state}");
    }
    let assigned: Vec<&str> =
        definition.split("\"ending\": \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(assigned.len() > 10, "{assigned:?}");
    for value in assigned {
        // An expression has its names in quotes, or passes on what a function says.
        let literals: Vec<&str> = if value.starts_with("{%") {
            value.split('\'').skip(1).step_by(2).collect()
        } else {
            vec![value]
        };
        for name in literals {
            assert!(name == "Completed" || RunEnding::of(name).is_some(), "{name} is no ending: {value}");
        }
    }
}

#[test]
fn the_pages_say_which_need_somebody() {
    let page = read("statemachine/README.md");
    assert_eq!(named(between(&page, "| `Failed` |", "|")), that_page(false));
    assert_eq!(named(between(&page, "| `NeedsOperator` |", "|")), that_page(true));
    let runbook = read("infra/guide/runbook.md");
    assert_eq!(named(between(&runbook, "- What ends in", "at once")), that_page(true));
    // In the same order: what has to be looked at, and then the word for at once.
    assert_eq!(
        named(between(&read("infra/guide/runbook.ko.md"), "\n- `FailedOver`", "바로")),
        that_page(true)[1..]
    );
}
