//! Figures for people.

use super::counts::{Counts, Metric};

/// `4.1 % (41 of 1,000)`.
pub fn share(counts: Counts, metric: Metric) -> String {
    if counts.requests == 0 {
        return "no requests".into();
    }
    let (events, requests) = (counts.events(metric), counts.requests);
    format!(
        "{} ({} of {})",
        percent(events as f64 / requests as f64),
        number(events as f64),
        number(requests as f64)
    )
}

/// A share as a percentage with two significant figures, such as `0.02 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent >= 9.95 || percent <= 0.0 {
        0
    } else if percent >= 0.995 {
        1
    } else if percent >= 0.0995 {
        2
    } else {
        3
    };
    let text = format!("{percent:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    // Not zero is never shown as zero.
    if text == "0" && percent > 0.0 { "under 0.001 %".into() } else { format!("{text} %") }
}

/// A difference of shares in percentage points without its sign, such as `1.2`.
pub fn points(difference: f64) -> String {
    percent(difference.abs()).trim_end_matches(" %").to_owned()
}

/// A whole number with commas, such as `1,200`.
pub fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Odds such as `0.7 to 1`, `42 to 1` or `over a million to 1`.
pub fn odds(wealth: f64) -> String {
    if wealth >= 1e6 {
        "over a million to 1".into()
    } else if wealth >= 10.0 {
        format!("{} to 1", number(wealth))
    } else {
        format!("{wealth:.1} to 1")
    }
}

/// `1 period` or `4 periods`.
pub fn periods(count: usize) -> String {
    if count == 1 { "1 period".into() } else { format!("{count} periods") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        let shares = [(0.0, "0 %"), (0.041, "4.1 %"), (0.000_2, "0.02 %"), (0.2, "20 %"), (1.0, "100 %")];
        for (value, text) in shares {
            assert_eq!(percent(value), text);
        }
        assert_eq!(percent(1e-9), "under 0.001 %");
        for (value, text) in [(0.0, "0"), (999.0, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(number(value), text);
        }
        for (value, text) in [(0.71, "0.7 to 1"), (42.3, "42 to 1"), (1e300, "over a million to 1")] {
            assert_eq!(odds(value), text);
        }
    }
}
