//! What is typed.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use failover::duration::Seconds;
use failover::model::Operation;

/// How it ends, at the end of the help.
const EXITS: &str = "Exit codes: 0 done, 1 rolled back or refused, 3 could not ask, 4 act now, 130 stopped \
                     watching (the run goes on).";

/// Move the traffic of an app between its two fleets, in watched stages, and see what is going on.
#[derive(Clone, Debug, Parser)]
#[command(name = "failover", version, after_help = EXITS, max_term_width = 100)]
pub struct Args {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Group)]
pub struct Common {
    /// The deployment, by the name of its stack
    #[arg(long, global = true, env = "FAILOVER_STACK", default_value = "failover")]
    pub stack: String,
    /// Its region, where the environment or the profile does not say
    #[arg(long, global = true)]
    pub region: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Every app: live fleet, traffic, releases, what is going on and what stands in the way
    Status {
        /// Only this one
        app: Option<String>,
    },
    /// What a run would do, checked by the deployment itself; nothing is touched
    Plan {
        /// What the run would do
        #[arg(long, value_enum, default_value = "shift")]
        operation: Verb,
        #[command(flatten)]
        asked: Asked,
    },
    /// All traffic to the live fleet, so that the standby can be deployed to
    Drain(Start),
    /// All traffic to the standby, in stages
    Shift(Start),
    /// An even split, in stages, when both fleets run the same release
    Balance(Start),
    /// All traffic back to the standby in one step, for a fault found after the shift
    Failback(Start),
    /// The weights that an interrupted run had found
    Restore(Start),
    /// Watch the run of an app that is going on
    Watch {
        /// The app
        app: String,
    },
    /// Let the run begin the stage that waits for an approval
    Approve(About),
    /// Keep the run at its stage; it is watched on, and rolled back if it is not well
    Pause(About),
    /// Take back what was asked of the run, a pause before all
    Resume(About),
    /// End the bake of the stage now
    Promote(About),
    /// Have the run put back what it found
    Rollback(About),
    /// The runs that were
    History {
        /// Only those of this app
        app: Option<String>,
        /// How far back
        #[arg(long, default_value = "7d", value_parser = days)]
        since: u32,
    },
    /// Draw the page about a run: its traffic, its failures and why it was decided so
    Report {
        /// The app
        app: String,
        /// The run, by the name of its execution; the latest where left out
        #[arg(long)]
        execution: Option<String>,
        /// Where the page goes
        #[arg(long, default_value = "report.html")]
        file: PathBuf,
    },
    /// What a shell needs to complete this command
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// An operation, as typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Verb {
    /// All traffic to the live fleet
    Drain,
    /// All traffic to the standby
    Shift,
    /// An even split
    Balance,
    /// All traffic back to the standby
    Failback,
    /// What an interrupted run had found
    Restore,
}

impl From<Verb> for Operation {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Drain => Self::Drain,
            Verb::Shift => Self::Shift,
            Verb::Balance => Self::Balance,
            Verb::Failback => Self::Failback,
            Verb::Restore => Self::Restore,
        }
    }
}

/// A run to start.
#[derive(Clone, Debug, Group)]
pub struct Start {
    #[command(flatten)]
    pub asked: Asked,
    /// Watch it to its end
    #[arg(long)]
    pub watch: bool,
}

/// What is asked of a run.
#[derive(Clone, Debug, Group)]
pub struct Asked {
    /// The app; several that move together with commas between them
    pub app: String,
    /// What the standby runs, by your own name for it
    #[arg(long)]
    pub release: Option<String>,
    /// Percent on the standby, stage by stage, such as 10,50,100
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=100))]
    pub stages: Vec<u8>,
    /// The stages that begin only once somebody approves, such as 50
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=100))]
    pub approve_before: Vec<u8>,
    /// A file with more fields of the input, as JSON
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
}

/// A run that is going on.
#[derive(Clone, Debug, Group)]
pub struct About {
    /// The app
    pub app: String,
    /// Do not wait until the run has followed
    #[arg(long)]
    pub no_wait: bool,
}

/// `7d`, or a shorter time such as `12h`, in seconds.
fn days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<u32>().ok());
    match days.map(|days| days.checked_mul(24 * 3600)) {
        Some(Some(seconds)) => Ok(seconds),
        Some(None) => Err(format!("`{text}` is too long")),
        None => Seconds::parse(text).map(|seconds| seconds.0).map_err(|what| format!("{what}, or 7d")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_is_typed_is_understood() {
        let typed =
            "failover shift web --release v42 --stages 10,50,100 --approve-before 50 --watch --stack dev";
        let args = Args::try_parse_from(typed.split(' ')).unwrap();
        let Command::Shift(start) = args.command else { panic!("no shift: {args:?}") };
        assert_eq!((start.asked.app.as_str(), start.asked.release.as_deref()), ("web", Some("v42")));
        assert_eq!((start.asked.stages, start.asked.approve_before), (vec![10, 50, 100], vec![50]));
        assert!(start.watch && args.common.stack == "dev");
    }

    #[test]
    fn a_wrong_command_gets_the_nearest_one() {
        let refused = Args::try_parse_from(["failover", "shfit", "web"]).unwrap_err();
        assert!(refused.to_string().contains("'shift'") && refused.use_stderr(), "{refused}");
    }

    #[test]
    fn times_back_are_days_or_less() {
        assert_eq!((days("7d"), days("12h")), (Ok(604_800), Ok(43_200)));
        assert!(days("long").unwrap_err().contains("7d"));
        assert!(days("99999999d").unwrap_err().contains("too long"));
    }
}
