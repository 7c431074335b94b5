//! The command `failover`: what the apps do, and whatever is asked of them, by their names.
//!
//! Everything that decides is pure and tested without AWS: [`names`], [`settings`], [`run`], [`ask`],
//! [`message`] and what is in [`show`]. The rest calls AWS by the code of the functions.

mod args;
mod ask;
mod aws;
mod command;
mod message;
mod names;
mod run;
mod settings;
mod show;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Args, Command};

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// What was asked is done.
    Done = 0,
    /// It was refused, or rolled back: nothing is left to be done for the traffic.
    NotDone = 1,
    /// It could not be asked: the arguments, the network or the rights.
    NotAsked = 3,
    /// Somebody must look at it now.
    ActNow = 4,
    /// Somebody stopped watching, as shells know it.
    Interrupted = 130,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked_for_help = !error.use_stderr();
            drop(error.print());
            return code(if asked_for_help { Exit::Done } else { Exit::NotAsked });
        }
    };
    if let Command::Completions { shell } = args.command {
        clap_complete::generate(shell, &mut Args::command(), "failover", &mut std::io::stdout());
        return code(Exit::Done);
    }
    match command::carry_out(&args).await {
        Ok(exit) => code(exit),
        Err(error) => {
            show::not_asked(&format!("{error:#}"), args.common.json);
            code(Exit::NotAsked)
        }
    }
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}
