//! What AWS does, as data: for every operation that is called, with a source for every fact.
//!
//! `ledger.json` has a row for each fact. Where AWS refuses a call, the row names the test that shows
//! that this balancer refuses it as well. [`faults`] finds what is missing. `recorded.json` lists the
//! answers of AWS that tests all over the project read as others have recorded them.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Deserialize;

/// How well a fact is known.
const SETTLED: [&str; 4] = ["yes", "doc", "weak", "no"];

/// What every operation has to have a row about: how often it may be called, and how soon what it did or shows is so.
const ABOUT: [&str; 2] = ["throttling", "consistency"];

/// Too large to find anything in.
const VAGUE: [&str; 3] = ["API reference", "documentation", "guide"];

/// One fact about an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Row {
    /// As `service:Operation`, the service as permissions name it.
    pub operation: String,
    /// Other operations of which the same is true.
    pub also: Vec<String>,
    /// `throttling` or `consistency`, of which every operation has one; nothing in rows on anything else.
    pub about: Option<String>,
    /// What AWS does.
    pub does: String,
    /// Where that is from.
    pub source: String,
    /// `yes`: recorded on AWS, or said by its model; `doc`: by its documentation alone; `weak`: by one
    /// record at second hand; `no`: assumed.
    pub settled: String,
    /// The members of answers, as `Shape.Member` of the service's model, of which the source shows that AWS gives
    /// them. `tools/check_answers.py` wants one for each that the balancer gives, or an example that botocore ships.
    pub answers: Vec<String>,
    /// The code of the refusal, and its words where a source has them; what is said beside the code alone is assumed.
    /// Only where AWS refuses a call, with what differs from call to call in angle brackets.
    pub refusal: Option<String>,
    /// The test that shows that the balancer refuses it.
    pub refused_by: Option<String>,
    /// The rows of `make prove` that ask an account for it.
    pub proved_by: Vec<String>,
    /// Why `make prove` does not ask for it, where it is not settled.
    pub unasked: Option<String>,
}

/// All rows of the ledger.
///
/// # Errors
/// If `ledger.json` cannot be read.
pub fn rows() -> Result<Vec<Row>, serde_json::Error> {
    serde_json::from_str(include_str!("../ledger.json"))
}

/// An answer that somebody recorded on AWS, and the test that reads it rightly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// What AWS answered.
    pub answer: String,
    /// Who recorded it.
    pub source: String,
    /// What follows from it.
    pub reading: String,
    /// The file of the test, from the root of the checkout.
    pub file: String,
    /// What the test can be found by in its file.
    pub test: String,
    /// How its file names the source.
    pub names: String,
}

/// All recorded answers that tests read.
///
/// # Errors
/// If `recorded.json` cannot be read.
pub fn records() -> Result<Vec<Record>, serde_json::Error> {
    serde_json::from_str(include_str!("../recorded.json"))
}

/// The operations that the ledger knows, as `service:Operation`.
///
/// # Errors
/// If `ledger.json` cannot be read.
pub fn operations() -> Result<BTreeSet<String>, serde_json::Error> {
    Ok(rows()?.into_iter().map(|row| row.operation).collect())
}

/// The operations that the balancer serves, as `service:Operation`.
pub fn served() -> Vec<String> {
    crate::api::operations()
}

/// What is wrong with rows, given the operations that are served and the sources of all tests. Empty where
/// nothing is.
pub fn faults(rows: &[Row], served: &[String], tests: &str) -> Vec<String> {
    let known: BTreeSet<&str> = rows.iter().map(|row| row.operation.as_str()).collect();
    let missing = served.iter().filter(|operation| !known.contains(operation.as_str()));
    let mut faults: Vec<String> = missing.map(|operation| format!("{operation} has no row")).collect();
    for about in ABOUT {
        let told = rows.iter().filter(|row| row.about.as_deref() == Some(about));
        let told: BTreeSet<&str> = told.flat_map(of).collect();
        faults
            .extend(known.difference(&told).map(|operation| format!("{operation} has no row about {about}")));
    }
    for row in rows {
        let mut fault = |what: String| faults.push(format!("{} ({}): {what}", row.operation, row.does));
        if row.operation.split(':').filter(|part| !part.is_empty()).count() != 2 {
            fault("the operation is no service:Operation".to_owned());
        }
        if let Some(unknown) = row.also.iter().find(|also| !known.contains(also.as_str())) {
            fault(format!("{unknown} has no row of its own"));
        }
        if row.about.as_deref().is_some_and(|about| !ABOUT.contains(&about)) {
            fault(format!("is about none of {}", ABOUT.join(", ")));
        }
        if row.does.is_empty() || row.source.is_empty() {
            fault("says nothing, or has no source".to_owned());
        }
        if VAGUE.contains(&row.source.as_str()) {
            fault(format!("the source is `{}`: say where in it, or that it is assumed", row.source));
        }
        if !SETTLED.contains(&row.settled.as_str()) {
            fault(format!("settled is `{}`, none of {}", row.settled, SETTLED.join(", ")));
        }
        match (row.proved_by.is_empty(), &row.unasked) {
            (false, Some(_)) => fault("is asked for, and says why not".to_owned()),
            (true, None) if row.settled != "yes" => {
                fault("is open, nothing asks for it, and nothing says why".to_owned());
            }
            _ => {}
        }
        // What is not served here is refused by others.
        let refuses = row.does.to_lowercase().contains("is refused") && served.contains(&row.operation);
        match (&row.refusal, &row.refused_by) {
            (None, None) if refuses => fault("says that AWS refuses it, and not how".to_owned()),
            (Some(_), None) => fault("no test shows the refusal".to_owned()),
            (None, Some(_)) => fault("names a test, and no refusal".to_owned()),
            (Some(_), Some(test)) if !tests.contains(&format!("fn {test}(")) => {
                fault(format!("there is no test `{test}`"));
            }
            (Some(refusal), Some(test)) if !holds(tests, test, refusal) => {
                fault(format!("the test `{test}` does not hold `{refusal}`"));
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
    faults
}

/// The operations of which a row is true.
fn of(row: &Row) -> impl Iterator<Item = &str> {
    std::iter::once(&row.operation).chain(&row.also).map(String::as_str)
}

/// Whether a test expects a refusal as a row has it: its code, and its words where there are some.
fn holds(tests: &str, test: &str, refusal: &str) -> bool {
    tests.match_indices(&format!("fn {test}(")).any(|(at, _)| {
        let rest = &tests[at..];
        let body = &rest[..rest.find("\n}\n").unwrap_or(rest.len())];
        let mut said = texts(body);
        // Words that several tests expect are constants.
        for constant in tests.split("const ").skip(1) {
            let constant = &constant[..constant.find(";\n").unwrap_or(constant.len())];
            if constant.split_once(": &str").is_some_and(|(name, _)| body.contains(name)) {
                said.extend(texts(constant));
            }
        }
        said.iter().any(|text| {
            let mut filled = said.iter().filter_map(|value| filled(text, value));
            begins(text, refusal) || filled.any(|text| begins(&text, refusal))
        })
    })
}

/// The text literals in some source.
fn texts(source: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), source);
    while let Some((_, begun)) = rest.split_once('"') {
        let end = begun.match_indices('"').find(|(at, _)| !begun[..*at].ends_with('\\'));
        let Some((end, _)) = end else { break };
        // A line may go on in the next.
        let mut parts = begun[..end].split("\\\n");
        let first = parts.next().unwrap_or_default().to_owned();
        found.push(parts.fold(first, |text, part| text + part.trim_start()));
        rest = &begun[end + 1..];
    }
    found
}

/// A text with a value in its one gap.
fn filled(text: &str, value: &str) -> Option<String> {
    let (before, after) = text.split_once('{')?;
    Some(format!("{before}{value}{}", after.split_once('}')?.1))
}

/// Whether a text begins as a refusal does, in whose angle brackets anything may stand.
fn begins(text: &str, refusal: &str) -> bool {
    let mut parts = refusal.split('<');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    parts.filter_map(|part| Some(part.split_once('>')?.1)).all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The page of what was never seen on AWS itself, in Markdown.
pub fn not_proven(rows: &[Row]) -> String {
    let mut page = "# Not yet proven on AWS\n\n\
        What the project relies on and what nobody has recorded: `weak` is one record at second hand, `doc` \
        the documentation alone, `no` an assumption. Where the ledger has a refusal by its code alone, the words \
        beside it are assumed as well. The last column names what `make prove` asks an account \
        for it, or why it does not. Made from `ledger.json` by the tests of this package.\n\n\
        | Operation | What AWS is taken to do | Known by | Settled | Asked by |\n|---|---|---|---|---|\n"
        .to_owned();
    for settled in ["no", "weak", "doc"] {
        for row in rows.iter().filter(|row| row.settled == settled) {
            let Row { does, source, .. } = row;
            let asked =
                row.unasked.as_ref().map_or(row.proved_by.join(", "), |why| format!("not asked: {why}"));
            let operations: Vec<String> = of(row).map(|operation| format!("`{operation}`")).collect();
            // Writing to memory does not fail.
            let _ = writeln!(page, "| {} | {does} | {source} | {settled} | {asked} |", operations.join(", "));
        }
    }
    page
}
