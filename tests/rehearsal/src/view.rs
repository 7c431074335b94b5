//! Showing a rehearsal as it goes: lines, and in a terminal a picture of the run below them.

mod screen;

use std::time::{Duration, Instant};

use console::{Term, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use self::screen::Screen;
use crate::play::Happening;

/// How often the picture is drawn at most, a second.
const DRAWN: u8 = 10;

/// Shows what happens on a terminal, or writes plain lines to what is none.
#[derive(Debug)]
pub struct View {
    term: Term,
    /// The picture; none where there is no terminal.
    picture: Option<ProgressBar>,
    screen: Screen,
    began: Instant,
}

impl View {
    /// A view on standard output or standard error.
    pub fn new(term: Term) -> Self {
        let picture = term.is_term().then(|| {
            let target = ProgressDrawTarget::term(term.clone(), DRAWN);
            let style = ProgressStyle::with_template("{msg}").expect("one field");
            ProgressBar::with_draw_target(None, target).with_style(style)
        });
        Self { term, picture, screen: Screen::default(), began: Instant::now() }
    }

    /// Writes a line that stays.
    pub fn line(&self, text: &str) {
        match &self.picture {
            Some(picture) => picture.println(text),
            // Nobody reads any more: that is no reason to stop.
            None => drop(self.term.write_line(text)),
        }
    }

    /// Shows what has happened.
    pub fn see(&mut self, happening: &Happening<'_>) {
        let at = self.began.elapsed();
        for text in self.screen.see(happening, at) {
            self.line(&format!("{}  {text}", clock(at)));
        }
        if let Some(picture) = &self.picture {
            let width = usize::from(self.term.size().1);
            let lines = self.screen.lines(at);
            let cut = lines.iter().map(|line| truncate_str(line, width, "…"));
            picture.set_message(cut.collect::<Vec<_>>().join("\n"));
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(picture) = &self.picture {
            picture.finish_and_clear();
        }
    }
}

/// Such as `01:05`.
fn clock(at: Duration) -> String {
    let seconds = at.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}
