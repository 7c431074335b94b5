//! How things look: wrapped to the width of a terminal, and plain lines where there is none.

pub mod figures;
pub mod history;
pub mod plan;
pub mod status;
pub mod watch;

use console::{Style, Term};
use serde::Serialize;
use serde_json::json;

use crate::message::Message;

/// The narrowest and the widest that anything is wrapped to.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=120;

/// What the labels of a message take.
const LABEL: usize = 10;

/// The columns of the terminal; nothing where there is none, and lines are as long as they are.
pub fn width() -> Option<usize> {
    let term = Term::stdout();
    term.is_term().then(|| usize::from(term.size().1).clamp(*WIDTHS.start(), *WIDTHS.end()))
}

/// A text behind a label, wrapped so that what follows the first line stands below it.
pub fn labelled(label: &str, text: &str, width: Option<usize>) -> String {
    indented(&format!("{label:<LABEL$}"), LABEL, text, width)
}

/// A text behind something that takes so many columns.
fn indented(begin: &str, columns: usize, text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return format!("{begin}{}", text.replace('\n', " ")) };
    let rest = " ".repeat(columns);
    let lines = text.lines().flat_map(|line| {
        // What is longer than a line, such as an ARN, is copied: it stays in one piece.
        let options = textwrap::Options::new(width.saturating_sub(columns)).break_words(false);
        let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
        textwrap::wrap(line, options).into_iter().map(std::borrow::Cow::into_owned).collect::<Vec<_>>()
    });
    let lines: Vec<String> = lines.collect();
    format!("{begin}{}", lines.join(&format!("\n{rest}")))
}

/// A text whose further lines are indented by so many columns.
pub fn wrapped(text: &str, indent: usize, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let rest = " ".repeat(indent);
    let options = textwrap::Options::new(width).subsequent_indent(&rest).break_words(false);
    textwrap::fill(text, options.word_splitter(textwrap::WordSplitter::NoHyphenation))
}

/// Rows of cells below each other, a line to a row, in columns as wide as they have to be.
pub fn rows(rows: Vec<Vec<String>>) -> Vec<String> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// A line that begins with a time.
pub fn timed(at: jiff::Timestamp, text: &str, width: Option<usize>) -> String {
    let clock = at.strftime("%H:%M:%S  ").to_string();
    indented(&clock, clock.len(), text, width)
}

/// A message: how urgent it is, what is told, and the four lines.
pub fn message(message: &Message, width: Option<usize>) -> String {
    let style = match message.tag {
        "OK" => Style::new().green(),
        "ROLLED BACK" | "REFUSED" | "STOPPED" => Style::new().yellow(),
        _ => Style::new().red().bold(),
    };
    let tag = format!("[{}]", message.tag);
    let begin = format!("{} ", style.apply_to(&tag));
    let mut lines = vec![indented(&begin, tag.len() + 1, &message.subject, width)];
    for (label, text) in [("TRAFFIC", &message.traffic), ("USERS", &message.users), ("WHY", &message.why)] {
        lines.push(labelled(label, text, width));
    }
    for (number, step) in message.r#do.iter().enumerate() {
        lines.push(labelled(if number == 0 { "DO" } else { "" }, step, width));
    }
    lines.join("\n")
}

/// Says that something could not be asked.
pub fn not_asked(why: &str, as_json: bool) {
    if as_json {
        json_line(&json!({ "error": why }));
    } else {
        eprintln!("{}", indented("failover: ", 10, why, width()));
    }
}

/// Prints a value as one line of JSON.
pub fn json_line(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("failover: cannot write JSON ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Message {
        Message {
            tag: "ROLLED BACK",
            subject: "web: the shift went back by itself".into(),
            traffic: "prod1 100 %, prod2 0 % (read from the balancer at 10:31:05 UTC)".into(),
            users: "not any more; failed during the run: 4.1 % (41 of 1,000) on prod2, 0 % (0 of 9,000) on prod1".into(),
            why: "failures: prod2 4.1 % against prod1 0 %, and arn:aws:elasticloadbalancing:eu-central-1:123456789012:\
                  listener-rule/app/shop/0123456789abcdef/0123456789abcdef/0123456789abcdef"
                .into(),
            r#do: vec!["Repair it.".into(), "failover shift web".into()],
        }
    }

    #[test]
    fn a_message_wraps_at_80_columns_and_cuts_nothing() {
        let shown = message(&told(), Some(80));
        let arn = |line: &&str| line.contains("arn:aws");
        assert!(shown.lines().filter(|line| !arn(line)).all(|line| line.chars().count() <= 80), "{shown}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let whole = [told().traffic, told().users, told().why].map(|text| words(&text)).concat();
        let shown = words(&shown);
        assert!(whole.iter().all(|word| shown.contains(word)), "{shown:?}");
    }

    #[test]
    fn a_pipe_gets_a_line_for_each() {
        let shown = message(&told(), None);
        let begins: Vec<&str> =
            shown.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(begins, ["[ROLLED", "TRAFFIC", "USERS", "WHY", "DO", ""]);
        assert!(!shown.contains('\u{1b}'));
    }
}
