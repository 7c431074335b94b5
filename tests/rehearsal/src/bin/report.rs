//! Draws the page of one execution, from its history and the balancer's metrics:
//! `report ARN [FILE]`. Credentials, region and endpoints come from the environment, as for every
//! AWS tool.

use std::path::PathBuf;

use anyhow::{Context, Result};
use aws_config::BehaviorVersion;
use report::{collect, page};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let execution = arguments.next().context("name an execution: report ARN [FILE]")?;
    let file = arguments.next().map_or_else(|| PathBuf::from("report.html"), PathBuf::from);
    let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let (step_functions, cloudwatch) =
        (aws_sdk_sfn::Client::new(&config), aws_sdk_cloudwatch::Client::new(&config));
    let recording = collect::recording(&step_functions, &cloudwatch, &execution).await?;
    std::fs::write(&file, page::render(&recording))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}", file.display());
    Ok(())
}
