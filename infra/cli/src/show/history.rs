//! The runs that were, a line each.

use failover::duration::Seconds;
use jiff::Timestamp;
use serde::Serialize;

use super::{rows, wrapped};

/// A run that was, or is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    pub stopped_at: Option<Timestamp>,
    /// Its apps.
    pub apps: Vec<String>,
    /// What it did.
    pub operation: String,
    /// What its standby ran.
    pub release: Option<String>,
    /// How it ended: the status of its output or the name of its error; nothing while it goes on.
    pub ending: Option<String>,
    /// Who started it.
    pub started_by: Option<String>,
    /// The name of the execution.
    pub execution: String,
}

/// All of them, the newest first. The name of the execution, which is copied, stays in one piece: in a
/// terminal it has a line of its own.
pub fn lines(runs: &[Past], now: Timestamp, width: Option<usize>) -> Vec<String> {
    let head = ["BEGAN (UTC)", "APP", "WHAT", "ENDED IN", "TOOK"].map(str::to_owned).to_vec();
    let row = |run: &Past| {
        let took = run.stopped_at.unwrap_or(now).as_second().saturating_sub(run.started_at.as_second());
        let release = run.release.as_ref().map(|release| format!(" {release}")).unwrap_or_default();
        vec![
            run.started_at.strftime("%Y-%m-%d %H:%M").to_string(),
            run.apps.join(", "),
            format!("{}{release}", run.operation),
            run.ending.clone().unwrap_or_else(|| "going on".into()),
            Seconds(u32::try_from(took).unwrap_or(0)).to_string(),
        ]
    };
    let lines = rows(std::iter::once(head).chain(runs.iter().map(row)).collect());
    let executions = std::iter::once("EXECUTION").chain(runs.iter().map(|run| run.execution.as_str()));
    let both = lines.into_iter().zip(executions).map(|(line, execution)| match width {
        Some(_) => format!("{}\n    {execution}", wrapped(&line, 4, width)),
        None => format!("{line}  {execution}"),
    });
    both.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_run_is_cut_at_80_columns() {
        let past = Past {
            started_at: "2026-11-30T10:31:00Z".parse().unwrap(),
            stopped_at: Some("2026-11-30T11:02:30Z".parse().unwrap()),
            apps: vec!["web".into()],
            operation: "shift".into(),
            release: Some("v42".into()),
            ending: Some("RolledBack".into()),
            started_by: None,
            execution: "web-shift-v42-20261130-1031".into(),
        };
        let piped = lines(std::slice::from_ref(&past), Timestamp::UNIX_EPOCH, None);
        assert!(
            piped.len() == 2 && piped[1].ends_with("  31m 30s  web-shift-v42-20261130-1031"),
            "{piped:?}"
        );
        let shown = lines(&[past], Timestamp::UNIX_EPOCH, Some(80)).join("\n");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        for part in ["2026-11-30 10:31", "shift v42", "RolledBack", "web-shift-v42-20261130-1031"] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }
}
