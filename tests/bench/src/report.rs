//! Figures as a table for people and as JSON for programs.

use serde::Serialize;
use serde_json::Value;

/// What one part of the benchmark measured.
#[derive(Serialize)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// How it was measured, in a sentence or two.
    pub method: String,
    /// What stands in each column, with its unit.
    pub columns: Vec<&'static str>,
    /// A figure for each column; null where there is none.
    pub rows: Vec<Vec<Value>>,
    /// What was hoped for.
    pub goals: Vec<Goal>,
}

/// A goal, and whether this run reached it.
#[derive(Serialize)]
pub struct Goal {
    /// In words.
    pub wanted: String,
    /// The figure that decides.
    pub measured: String,
    /// Whether it is reached.
    pub reached: bool,
}

impl Goal {
    /// A goal with the figure that decides about it.
    pub fn new(wanted: &str, measured: String, reached: bool) -> Self {
        Self { wanted: wanted.into(), measured, reached }
    }
}

impl Section {
    /// Prints the section.
    pub fn print(&self) {
        println!("\n## {}\n\n{}\n", self.title, self.method);
        println!("| {} |", self.columns.join(" | "));
        println!("|{}", "---|".repeat(self.columns.len()));
        for row in &self.rows {
            println!("| {} |", row.iter().map(shown).collect::<Vec<_>>().join(" | "));
        }
        if !self.goals.is_empty() {
            println!("\n| goal | measured | reached |\n|---|---|---|");
        }
        for Goal { wanted, measured, reached } in &self.goals {
            println!("| {wanted} | {measured} | {} |", if *reached { "yes" } else { "**no**" });
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => figure(number.as_f64().unwrap_or_default()),
        Value::Number(number) => grouped(number.as_u64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// Three digits say as much as a single run can.
pub fn figure(number: f64) -> String {
    match number.abs() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive figure")]
        _ if number >= 999.5 => grouped(number.round() as u64),
        size if size >= 99.95 || number.fract() == 0.0 => format!("{number:.0}"),
        size if size >= 9.995 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// Such as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|g| str::from_utf8(g).ok()).collect();
    groups.join(",")
}

/// The middle of some figures; not a number where there are none.
pub fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The figure that this share of all figures does not exceed.
pub fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the length")]
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
