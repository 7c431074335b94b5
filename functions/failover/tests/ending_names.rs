//! The endings of [`RunEnding`] are those of the template and of the page that says what to do.

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
