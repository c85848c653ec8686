//! What a coordinator says: its event lines on stdout, and its answers to `GET /status`.

use anyhow::{Context, Result, bail};

/// One line of a coordinator's stdout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventLine {
    /// `CLOCK_BOOTTIME`, as the coordinator read it.
    pub(crate) at_ms: i64,
    /// As in the C header, such as `TERM_ENDED`.
    pub(crate) kind: String,
    pub(crate) token: i64,
    pub(crate) server_id: i64,
    /// The event in words.
    pub(crate) text: String,
}

impl EventLine {
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let wrong = || format!("no event line: {line:?}");
        let rest = line.strip_prefix("event ").with_context(wrong)?;
        let (fields, text) = rest.split_once(" text=").with_context(wrong)?;
        let kind = field(fields, "kind").with_context(wrong)?;
        Ok(Self {
            at_ms: number(fields, "at_ms").with_context(wrong)?,
            kind: kind.to_owned(),
            token: number(fields, "token").with_context(wrong)?,
            server_id: number(fields, "server_id").with_context(wrong)?,
            text: text.to_owned(),
        })
    }
}

/// An answer to `GET /status`: what the coordinator held of itself at that instant or just after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) at_ms: i64,
    pub(crate) active: bool,
    pub(crate) token: i64,
}

impl Status {
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let wrong = || format!("no status: {line:?}");
        let active = match field(line, "active").with_context(wrong)? {
            "true" => true,
            "false" => false,
            _ => bail!(wrong()),
        };
        Ok(Self {
            at_ms: number(line, "at_ms").with_context(wrong)?,
            active,
            token: number(line, "token").with_context(wrong)?,
        })
    }
}

/// The value of `name=value` among words.
fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = fields.split_whitespace().filter_map(|w| w.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn number(fields: &str, name: &str) -> Result<i64> {
    let value = field(fields, name).with_context(|| format!("`{name}` is missing"))?;
    value.parse().with_context(|| format!("`{name}={value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "event at_ms=70012 kind=TERM_ENDED token=9 server_id=2 \
                        text=rootcoord TERM_ENDED token=9 reason=STOP";

    #[test]
    fn an_event_line_is_read() {
        let event = EventLine::parse(LINE).unwrap();
        assert_eq!((event.at_ms, event.token, event.server_id), (70012, 9, 2));
        assert_eq!(event.kind, "TERM_ENDED");
        assert_eq!(event.text, "rootcoord TERM_ENDED token=9 reason=STOP");
    }

    #[test]
    fn fields_may_be_added_and_come_in_any_order() {
        let event = EventLine::parse("event kind=HOLDER new=x server_id=0 token=0 at_ms=1 text=");
        assert_eq!(event.unwrap().kind, "HOLDER");
    }

    #[test]
    fn words_in_the_text_are_no_fields() {
        let line = "event at_ms=1 kind=ACTIVE server_id=2 text=a token=5";
        assert!(EventLine::parse(line).is_err());
    }

    #[test]
    fn what_is_no_event_line_is_refused() {
        for line in [
            "",
            "event",
            "event text=",
            "thread panicked at_ms=1 kind=ACTIVE token=1 server_id=1 text=",
            &LINE.replace("at_ms=70012", "at_ms=soon"),
            &LINE.replace("kind=TERM_ENDED ", ""),
            &LINE.replace(" text=", " words="),
        ] {
            assert!(EventLine::parse(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_status_is_read_and_garbage_is_refused() {
        let status = Status::parse("at_ms=5 active=true token=7 server_id=1\n").unwrap();
        let expected = Status { at_ms: 5, active: true, token: 7 };
        assert_eq!(status, expected);
        for line in ["", "active=true", "at_ms=5 active=yes token=7 server_id=1"] {
            assert!(Status::parse(line).is_err(), "{line:?}");
        }
    }
}
