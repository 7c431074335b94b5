//! The tables.

use std::collections::HashMap;

use crate::Options;
use crate::rollout::{OURS, OURS_WITH_CHANGES, Row};
use crate::scenario::FAULTS;

/// A peer counts in a cell if it keeps false rollbacks within this share.
const ADMISSIBLE: f64 = 0.01;

/// Scenarios on which a peer must be admissible, from lenient to strict.
const STRICTNESS: [(&str, &[&str]); 3] = [
    ("identical fleets", &["identical"]),
    ("identical fleets, bursts, clusters and drift", &["identical", "burst", "cluster", "drift"]),
    ("those and a common outage", &["identical", "burst", "cluster", "drift", "common"]),
];

type Key = (&'static str, &'static str, u32, u64, u32);

/// The rows by cell.
struct Book<'a> {
    options: &'a Options,
    rows: HashMap<Key, &'a Row>,
    bake: u32,
}

/// Prints all tables as markdown.
pub fn print(options: &Options, rows: &[Row]) {
    let rows: HashMap<Key, &Row> = rows
        .iter()
        .map(|r| ((r.job.method, r.job.fault, r.job.traffic, r.job.base.to_bits(), r.job.bake), r))
        .collect();
    for (nth, &bake) in options.bakes.iter().enumerate() {
        let book = Book { options, rows: rows.clone(), bake };
        println!("\n## {bake} polls a stage");
        book.false_rollbacks();
        book.ours();
        if nth == 0 {
            for (label, scenarios) in STRICTNESS {
                book.against_best(label, scenarios);
            }
        } else {
            let (label, scenarios) = STRICTNESS[0];
            book.against_best(label, scenarios);
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}", share * 100.0)
}

fn header(columns: &[String]) {
    println!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
}

impl Book<'_> {
    fn get(&self, method: &'static str, fault: &'static str, traffic: u32, base: f64) -> Option<&Row> {
        self.rows.get(&(method, fault, traffic, base.to_bits(), self.bake)).copied()
    }

    fn cells(&self) -> impl Iterator<Item = (f64, u32)> {
        self.options.bases.iter().flat_map(|b| self.options.traffic.iter().map(move |t| (*b, *t)))
    }

    /// The faults that were asked for and are innocent or not.
    fn faults(&self, innocent: bool) -> Vec<&'static str> {
        let asked = FAULTS.iter().filter(|f| f.innocent == innocent && self.options.faults.contains(&f.name));
        asked.map(|f| f.name).collect()
    }

    fn false_rollbacks(&self) {
        let (base, traffic) = (self.options.bases[0], self.options.traffic[0]);
        let mut scenarios = self.faults(true);
        scenarios.retain(|s| self.options.methods.iter().any(|m| self.get(m, s, traffic, base).is_some()));
        if scenarios.is_empty() {
            return;
        }
        println!("\n### False rollbacks, worst cell (mean of the cells), % of rollouts\n");
        let names = scenarios.iter().map(ToString::to_string);
        header(&std::iter::once("rule".to_string()).chain(names).collect::<Vec<_>>());
        for method in &self.options.methods {
            let shares = scenarios.iter().map(|fault| {
                let all: Vec<f64> = self
                    .cells()
                    .filter_map(|(b, t)| self.get(method, fault, t, b))
                    .map(|r| r.falsely)
                    .collect();
                let worst = all.iter().copied().fold(0.0, f64::max);
                format!("{} ({})", percent(worst), percent(all.iter().sum::<f64>() / all.len().max(1) as f64))
            });
            println!("| {method} | {} |", shares.collect::<Vec<_>>().join(" | "));
        }
    }

    /// The shipped verdict, cell by cell.
    fn ours(&self) {
        let faults = self.faults(false);
        if !self.options.methods.contains(&OURS) || faults.is_empty() {
            return;
        }
        println!("\n### {OURS}: detected % / median polls (to the recheck) / users harmed\n");
        let columns = self.cells().map(|(b, t)| format!("{t} a minute, {} %", b * 100.0));
        header(&std::iter::once("fault".to_string()).chain(columns).collect::<Vec<_>>());
        for fault in faults {
            let cells = self.cells().map(|(b, t)| {
                self.get(OURS, fault, t, b).map_or_else(String::new, |r| {
                    let polls = |p: Option<u32>| p.map_or_else(|| "-".to_string(), |p| p.to_string());
                    let relief = if r.median_relief == r.median_polls {
                        String::new()
                    } else {
                        format!(" ({})", polls(r.median_relief))
                    };
                    let harmed = usize::from(r.harmed < 100.0);
                    format!(
                        "{:.0} / {}{relief} / {:.harmed$}",
                        r.detected * 100.0,
                        polls(r.median_polls),
                        r.harmed
                    )
                })
            });
            println!("| {fault} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }

    fn admissible(&self, method: &'static str, scenarios: &[&'static str], traffic: u32, base: f64) -> bool {
        let fine =
            |s: &&'static str| self.get(method, s, traffic, base).is_none_or(|r| r.falsely <= ADMISSIBLE);
        scenarios.iter().all(fine)
    }

    /// Beside the peer that harms the fewest users of those that are admissible in the cell.
    fn against_best(&self, label: &str, scenarios: &[&'static str]) {
        let peers: Vec<&'static str> = self
            .options
            .methods
            .iter()
            .copied()
            .filter(|m| ![OURS, OURS_WITH_CHANGES, "LM"].contains(m))
            .collect();
        let faults = self.faults(false);
        if peers.is_empty() || faults.is_empty() || !self.options.methods.contains(&OURS) {
            return;
        }
        let qualified =
            |(base, traffic): (f64, u32)| peers.iter().any(|m| self.admissible(m, scenarios, traffic, base));
        if !self.cells().any(qualified) {
            println!("\nNo peer keeps false rollbacks within 1 % in any cell on: {label}.");
            return;
        }
        println!(
            "\n### Users harmed, beside the best peer of each cell with at most 1 % false rollbacks on: {label}\n"
        );
        header(
            &[
                "fault",
                "cells with such a peer",
                "fewer / within 10 % / more harmed",
                "ratio, geometric mean",
                "worst ratio at 2,000 a minute and more",
                "at 20 and 200: geometric mean",
                "detected, mean",
                "by that peer",
            ]
            .map(String::from),
        );
        let (mut all, mut worst_of_all) = (Vec::new(), 0.0_f64);
        for fault in faults {
            let (mut logs, mut low, mut worst, mut worst_cell) =
                (Vec::new(), Vec::new(), 0.0_f64, String::new());
            let (mut fewer, mut same, mut more) = (0, 0, 0);
            let (mut found, mut by_peer) = (Vec::new(), Vec::new());
            for (base, traffic) in self.cells() {
                let Some(our) = self.get(OURS, fault, traffic, base) else { continue };
                let within = peers.iter().filter(|m| self.admissible(m, scenarios, traffic, base));
                let rows = within.filter_map(|m| self.get(m, fault, traffic, base));
                let Some(best) = rows.min_by(|a, b| a.harmed.total_cmp(&b.harmed)) else { continue };
                // Half a user is as little as can be told apart.
                let ratio = our.harmed.max(0.5) / best.harmed.max(0.5);
                logs.push(ratio.ln());
                fewer += u32::from(ratio < 0.9);
                same += u32::from((0.9..=1.1).contains(&ratio));
                more += u32::from(ratio > 1.1);
                found.push(our.detected);
                by_peer.push(best.detected);
                if traffic < 2000 {
                    low.push(ratio.ln());
                } else if ratio > worst {
                    worst = ratio;
                    worst_cell = format!(" ({traffic}, {} %, {})", base * 100.0, best.job.method);
                }
            }
            let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
            println!(
                "| {fault} | {} | {fewer} / {same} / {more} | {:.2} | {worst:.2}{worst_cell} | {:.2} | {:.0} % | {:.0} % |",
                logs.len(),
                mean(&logs).exp(),
                mean(&low).exp(),
                mean(&found) * 100.0,
                mean(&by_peer) * 100.0
            );
            worst_of_all = worst_of_all.max(worst);
            all.extend(logs);
        }
        let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
        println!(
            "\nAll faults: geometric mean {:.2} over {} cells; worst at 2,000 and more {worst_of_all:.2}.",
            mean.exp(),
            all.len()
        );
    }
}
