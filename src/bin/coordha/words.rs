//! How figures are said.

use coordha::inspect::Standing;
pub(crate) use coordha::inspect::seconds;

/// What others have written, in a line of its own: nothing in it moves the cursor, ends the line or turns its direction.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

/// `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn long(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..=119 => format!("{s} s"),
        120..=7199 => format!("{} min", s / 60),
        7200..=172_799 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `20.5 MiB`.
pub(crate) fn bytes(bytes: i64) -> String {
    let tenths = bytes.max(0) * 10 / 1_048_576;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// `1 renewal`, `2 renewals`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The time of the day, UTC: `14:05:09.120`.
pub(crate) fn clock(unix_ms: u64) -> String {
    let (s, ms) = (unix_ms / 1000 % 86_400, unix_ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

/// Whether a standby could win, in a word or two.
pub(crate) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Now => "could win now",
        Standing::Ready => "could win",
        Standing::Perhaps => "could win, perhaps",
        Standing::Waits => "has to wait",
        Standing::Blocked => "CANNOT WIN",
    }
}
