//! The ledger of what AWS does knows every operation, and every refusal in it is shown by a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use alb::ledger::{self, Record, Row};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of all tests of this program.
fn tests() -> String {
    let folder = fs::read_dir(here().join("tests/balancer")).unwrap();
    folder.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

fn faults(rows: &[Row]) -> Vec<String> {
    ledger::faults(rows, &ledger::served(), &tests())
}

#[test]
fn every_operation_and_every_refusal_is_known() {
    let found = faults(&ledger::rows().unwrap());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What looks like an operation in the template, and is what a condition asks for.
const CONDITION_KEYS: [&str; 1] = ["lambda:SourceFunctionArn"];

/// What the roles of the template may do in the services that the product calls itself.
#[test]
fn what_the_template_permits_is_known() {
    let template = fs::read_to_string(here().join("../../infra/template.yaml")).unwrap();
    let services = ["cloudwatch", "elasticloadbalancing", "events", "lambda", "sns", "sqs", "states"];
    let sign = |c: char| !c.is_ascii_alphanumeric() && !"-:".contains(c);
    let permitted: BTreeSet<&str> = template
        .split(sign)
        .filter(|word| {
            word.split_once(':').is_some_and(|(service, action)| {
                services.contains(&service) && action.starts_with(|first: char| first.is_ascii_uppercase())
            })
        })
        .collect();
    assert!(permitted.contains("elasticloadbalancing:ModifyRule"), "{permitted:?}");
    let known = ledger::operations().unwrap();
    let missing: Vec<_> = permitted
        .into_iter()
        .filter(|word| !CONDITION_KEYS.contains(word) && !known.contains(*word))
        .collect();
    assert!(missing.is_empty(), "add rows to ledger.json: {missing:?}");
}

/// What says of a protocol that a request is none of it, whatever the operation.
const OF_A_PROTOCOL: [&str; 3] = ["InvalidAction", "SerializationException", "UnknownOperationException"];

/// The codes with which the balancer refuses calls, as its sources name them.
fn codes(sources: &str) -> BTreeSet<&str> {
    let made = sources.split("ApiError::new(").chain(sources.split("ApiError::not_found("));
    let first = made.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
    first.map(|(code, _)| code).chain(["ValidationError"]).collect()
}

/// Everything in a folder and those below it, as one text.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { sources(&path) } else { fs::read_to_string(path).unwrap() })
        .collect()
}

/// Nothing is refused here of which no row says that AWS refuses it, and who says so.
#[test]
fn whatever_the_balancer_refuses_is_known() {
    let sources = sources(&here().join("src/api"));
    let mut refused = codes(&sources);
    assert!(refused.len() > 20 && refused.contains("RuleNotFound"), "{refused:?}");
    for code in OF_A_PROTOCOL {
        assert!(refused.remove(code), "{code} is said no more");
    }
    let rows = ledger::rows().unwrap();
    let refusals = rows.iter().filter_map(|row| row.refusal.as_deref());
    let known: BTreeSet<&str> =
        refusals.map(|refusal| refusal.split_once(':').map_or(refusal, |(code, _)| code)).collect();
    let missing: Vec<_> = refused.difference(&known).collect();
    assert!(missing.is_empty(), "add rows to ledger.json: {missing:?}");
    let made = known.difference(&refused).collect::<Vec<_>>();
    assert!(made.is_empty(), "nothing refuses so: {made:?}");
}

#[test]
fn an_operation_without_a_row_is_found() {
    let mut rows = ledger::rows().unwrap();
    rows.retain(|row| row.operation != "elasticloadbalancing:AddTags");
    // With its rows goes what they say of the other operations on tags.
    let expected = [
        "AddTags has no row",
        "RemoveTags has no row about throttling",
        "DescribeTags has no row about consistency",
        "RemoveTags has no row about consistency",
    ];
    assert_eq!(faults(&rows), expected.map(|fault| format!("elasticloadbalancing:{fault}")));
    assert!(ledger::operations().unwrap().contains("elasticloadbalancing:AddTags"));
}

/// What no source settles is asked of an account, or there is a reason why not.
#[test]
fn an_open_row_that_is_neither_asked_nor_excused_is_found() {
    let rows = ledger::rows().unwrap();
    let open = |row: &&Row| row.settled != "yes";
    for row in rows.iter().filter(open) {
        let bare = Row { proved_by: Vec::new(), unasked: None, ..row.clone() };
        let said = faults(
            &rows
                .iter()
                .map(|other| if other == row { bare.clone() } else { other.clone() })
                .collect::<Vec<_>>(),
        );
        assert!(said.len() == 1 && said[0].ends_with("nothing says why"), "{said:?}");
    }
    let asked = rows.iter().filter(open).filter(|row| !row.proved_by.is_empty()).count();
    assert!(2 * asked > rows.iter().filter(open).count(), "{asked} are asked");
    let both = Row {
        unasked: Some("no".to_owned()),
        ..rows.iter().find(|row| !row.proved_by.is_empty()).unwrap().clone()
    };
    assert!(faults(&[both]).iter().any(|fault| fault.ends_with("is asked for, and says why not")));
}

/// How often an operation may be called, and how soon what it shows is so, is known of each, or said to be assumed.
#[test]
fn an_operation_without_a_rate_or_a_word_on_consistency_is_found() {
    let operation = "elasticloadbalancing:DescribeTargetHealth";
    for about in ["throttling", "consistency"] {
        let mut rows = ledger::rows().unwrap();
        for row in rows.iter_mut().filter(|row| row.about.as_deref() == Some(about)) {
            row.also.retain(|also| also != operation);
            if row.operation == operation {
                row.about = None;
            }
        }
        // Others that a row of its own was true of are without one, too.
        let found = faults(&rows);
        assert!(found.contains(&format!("{operation} has no row about {about}")), "{found:?}");
    }
    let mut rows = ledger::rows().unwrap();
    let row = rows.iter_mut().find(|row| row.about.is_some()).unwrap();
    row.also.push("s3:PaintBucket".to_owned());
    let found = faults(&rows);
    assert!(found.len() == 1 && found[0].ends_with("s3:PaintBucket has no row of its own"), "{found:?}");
    let mut rows = ledger::rows().unwrap();
    rows.iter_mut().find(|row| row.about.is_none()).unwrap().about = Some("colours".to_owned());
    let found = faults(&rows);
    assert!(found.len() == 1 && found[0].ends_with("is about none of throttling, consistency"), "{found:?}");
}

#[test]
fn a_refusal_that_no_test_shows_is_found() {
    let rows = ledger::rows().unwrap();
    let without = tests().replace("fn one_resource_is_tagged_at_a_time(", "fn another(");
    let found = ledger::faults(&rows, &ledger::served(), &without);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|fault| fault.ends_with("there is no test `one_resource_is_tagged_at_a_time`")));

    for (word, other, wrong) in [
        ("Only one resource can be tagged at a time", "One at a time", 2),
        ("ValidationError: Target group stickiness", "InvalidLoadBalancerAction: Target group stickiness", 1),
        ("Load balancers '[no]' not found", "'no' was not found", 1),
        ("\"target groups\"", "\"groups\"", 1),
    ] {
        let found = ledger::faults(&rows, &ledger::served(), &tests().replace(word, other));
        assert!(
            found.len() == wrong && found.iter().all(|fault| fault.contains("does not hold")),
            "{found:?}"
        );
    }

    let mut others = rows.clone();
    let refusing = others.iter_mut().find(|row| row.refusal.is_some()).unwrap();
    refusing.refused_by = None;
    let found = faults(&others);
    assert!(found.len() == 1 && found[0].ends_with("no test shows the refusal"), "{found:?}");

    let mut others = rows;
    let said =
        others.iter_mut().find(|row| row.does.contains("is refused") && row.refusal.is_some()).unwrap();
    (said.refusal, said.refused_by) = (None, None);
    let found = faults(&others);
    assert!(found.len() == 1 && found[0].ends_with("says that AWS refuses it, and not how"), "{found:?}");
}

#[test]
fn a_row_says_where_it_is_from_and_how_well_it_is_known() {
    type Change = fn(&mut Row);
    let changes: [(Change, &str); 4] = [
        (|row| "API reference".clone_into(&mut row.source), "say where in it"),
        (|row| row.source.clear(), "has no source"),
        (|row| row.settled.clear(), "none of yes, doc, weak, no"),
        (|row| "perhaps".clone_into(&mut row.settled), "none of yes, doc, weak, no"),
    ];
    for (change, expected) in &changes {
        let mut rows = ledger::rows().unwrap();
        change(&mut rows[0]);
        let found = faults(&rows);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
}

/// What is wrong with a record, given the text of its file.
fn unread(record: &Record, text: &str) -> Option<String> {
    // As one line, since sources in comments go over several.
    let words = text.split_whitespace().filter(|word| !["//", "///", "//!"].contains(word));
    let flat = words.collect::<Vec<_>>().join(" ");
    let missing = |what: &str| Some(format!("{} ({}): {what}", record.answer, record.file));
    match record {
        Record { source, reading, .. } if source.is_empty() || reading.is_empty() => missing("says nothing"),
        Record { test, .. } if test.is_empty() || !text.contains(test.as_str()) => {
            missing("there is no such test")
        }
        Record { names, .. } if names.is_empty() || !flat.contains(names.as_str()) => {
            missing("its test does not name the source")
        }
        _ => None,
    }
}

/// The text of a record's file; nothing where there is none.
fn text_of(record: &Record) -> String {
    fs::read_to_string(here().join("../..").join(&record.file)).unwrap_or_default()
}

#[test]
fn every_recorded_answer_is_read_in_a_test_that_names_its_source() {
    let records = ledger::records().unwrap();
    let found: Vec<_> = records.iter().filter_map(|record| unread(record, &text_of(record))).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(records.len(), 20);
    for record in &records {
        let without = text_of(record).replace(&record.test, "");
        assert!(unread(record, &without).is_some_and(|fault| fault.ends_with("there is no such test")));
        let unnamed = Record { names: "nobody at all".to_owned(), ..record.clone() };
        let fault = unread(&unnamed, &text_of(record));
        assert!(fault.is_some_and(|fault| fault.ends_with("its test does not name the source")));
    }
}

/// What asks an account for a row is there: `make prove` names its rows so.
#[test]
fn whatever_is_said_to_be_asked_is_asked() {
    let folder = fs::read_dir(here().join("../prove")).unwrap().map(|file| file.unwrap().path());
    let scripts: String = folder
        .filter(|path| path.extension().is_some_and(|kind| kind == "py"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let rows = ledger::rows().unwrap();
    let asks: Vec<_> = rows.iter().flat_map(|row| &row.proved_by).collect();
    assert!(asks.len() > 50, "{asks:?}");
    let missing: Vec<_> = asks
        .into_iter()
        .filter(|name| {
            !["@row(", "    ("].iter().any(|begins| scripts.contains(&format!("{begins}\"{name}\",")))
        })
        .collect();
    assert!(missing.is_empty(), "make prove has no row {missing:?}");
}

/// Rewrites the page where `WRITE_NOT_PROVEN` is set.
#[test]
fn the_page_of_what_is_not_proven_is_current() {
    let page = ledger::not_proven(&ledger::rows().unwrap());
    let file: &Path = &here().join("NOT-PROVEN.md");
    if std::env::var_os("WRITE_NOT_PROVEN").is_some() {
        fs::write(file, &page).unwrap();
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    assert!(kept == page, "run the tests of this package with WRITE_NOT_PROVEN=1, and check the page in");
}
