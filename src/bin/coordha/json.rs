//! JSON that any reader reads as it is meant: a number beyond 2^53, of which many would lose digits, is text.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use crate::exit::{FAILED, Failure};

/// From here on a reader whose numbers are doubles cannot tell one from the next.
const EXACT: u64 = 1 << 53;

/// The value over several lines, with a newline at its end.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    Ok(text(value, PrettyFormatter::new())? + "\n")
}

/// The value in one line.
pub(crate) fn line(value: &impl Serialize) -> Result<String, Failure> {
    text(value, CompactFormatter)
}

fn text(value: &impl Serialize, layout: impl Formatter) -> Result<String, Failure> {
    let mut out = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, Exact(layout)));
    written.map_err(|error| Failure::new(FAILED, error.to_string()))?;
    String::from_utf8(out).map_err(|error| Failure::new(FAILED, error.to_string()))
}

/// The layout of another one, and numbers as this module says.
struct Exact<F>(F);

/// Methods that are as in the layout.
macro_rules! as_in_the_layout {
    ($($name:ident($($argument:ident: $type:ty)?),)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W, $($argument: $type)?) -> io::Result<()> {
            self.0.$name(writer, $($argument)?)
        })*
    };
}

impl<F: Formatter> Formatter for Exact<F> {
    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if value.unsigned_abs() < EXACT { write!(writer, "{value}") } else { write!(writer, "\"{value}\"") }
    }

    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if value < EXACT { write!(writer, "{value}") } else { write!(writer, "\"{value}\"") }
    }

    as_in_the_layout! {
        begin_array(),
        end_array(),
        begin_array_value(first: bool),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first: bool),
        end_object_key(),
        begin_object_value(),
        end_object_value(),
    }
}
