//! What was asked and answered in all scenarios before, held against what AWS publishes about it.

use anyhow::{Result, ensure};
use rehearsal::{Ground, cli, elsewhere, root, tool};

/// The functions that print metrics.
const PRINT_METRICS: [&str; 3] = ["set-weights", "roll-back", "check-metrics"];

/// Checks that whatever functions and scripts have asked of AWS and whatever the balancer has answered is as AWS's own models
/// have it, and the metrics that they have printed as its schema.
pub async fn check(ground: &Ground) -> Result<()> {
    let (requests, answers) = (ground.requests(), ground.answers());
    // The ground itself is deployed by a script.
    ensure!(requests.iter().any(|line| line.contains("\"given\":")), "scripts have noted nothing");
    let metrics = metrics(ground).await?;
    for (checker, lines) in [("requests", requests), ("answers", answers), ("metrics", metrics)] {
        // The scenarios that were chosen do nothing of it; where all have run, that was missed before.
        if lines.is_empty() {
            continue;
        }
        let file = ground.folder().join(format!("{checker}.jsonl"));
        std::fs::write(&file, lines.join("\n"))?;
        let mut python = elsewhere(tool("python"));
        python.arg(root().join(format!("tests/tools/check_{checker}.py"))).arg(&file).kill_on_drop(true);
        let checked = python.output().await?;
        ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
    Ok(())
}

/// The lines that the functions have printed for CloudWatch to make metrics of.
async fn metrics(ground: &Ground) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for function in PRINT_METRICS {
        let group = format!("/aws/lambda/failover-{function}");
        let log = cli(ground.endpoint(), &["logs", "filter-log-events", "--log-group-name", &group]).await?;
        let messages = log["events"].as_array().into_iter().flatten();
        let messages = messages.filter_map(|event| event["message"].as_str());
        lines.extend(
            messages.filter(|message| message.contains("\"_aws\"")).map(|line| line.trim().to_owned()),
        );
    }
    Ok(lines)
}
