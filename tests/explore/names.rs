//! Keys and values of the one role that is explored, as small numbers.

/// The next server ID.
pub(crate) const ID: u8 = 0;
/// The active key.
pub(crate) const ACTIVE: u8 = 1;
/// The term record.
pub(crate) const TERM: u8 = 2;
/// The member key of server ID 1; those of the next ones follow.
pub(crate) const MEMBER: u8 = 3;
/// Sessions that ever live: a crashed one comes back as another.
pub(crate) const CLIENTS: usize = 5;
/// The member key of the Milvus coordinator.
pub(crate) const MILVUS: u8 = MEMBER + CLIENTS as u8;
/// The member key of the Milvus coordinator that is stuck.
pub(crate) const STUCK: u8 = MILVUS + 1;
/// Keys in all.
pub(crate) const KEYS: usize = STUCK as usize + 1;

pub(crate) const ROLE: &str = "c";
pub(crate) const ROOT: &str = "r";

/// The name of a key in the store.
pub(crate) fn key(number: u8) -> Vec<u8> {
    match number {
        ID => format!("{ROOT}/session/id"),
        ACTIVE => format!("{ROOT}/session/{ROLE}"),
        TERM => format!("{ROOT}/ha/{ROLE}/term"),
        MILVUS => format!("{ROOT}/session/{ROLE}-99"),
        STUCK => format!("{ROOT}/session/{ROLE}-98"),
        member => format!("{ROOT}/session/{ROLE}-{}", member - MEMBER + 1),
    }
    .into_bytes()
}

/// The number of a key.
pub(crate) fn number(name: &[u8]) -> u8 {
    (0..KEYS as u8).find(|n| key(*n) == name).unwrap_or_else(|| panic!("{} is no key of the role", name.escape_ascii()))
}

/// A value without the token in it, in whose place stands `#`, and with its renewals uncounted; and that token, 0 for
/// none.
pub(crate) fn take_token(value: &[u8]) -> (Vec<u8>, i64) {
    let (value, _) = take_number(value, b"\"Renewals\":", b"0");
    let (bare, token) = take_number(&value, b"\"Token\":", b"#");
    if token == 0 { (value, 0) } else { (bare, token) }
}

/// The value with this token.
pub(crate) fn with_token(value: &[u8], token: i64) -> Vec<u8> {
    match value.iter().position(|byte| *byte == b'#') {
        None => value.to_vec(),
        Some(at) => [&value[..at], token.to_string().as_bytes(), &value[at + 1..]].concat(),
    }
}

/// Puts `instead` in the place of the number after `name`; and that number, 0 where there is none.
fn take_number(value: &[u8], name: &[u8], instead: &[u8]) -> (Vec<u8>, i64) {
    let Some(at) = value.windows(name.len()).position(|part| part == name) else {
        return (value.to_vec(), 0);
    };
    let start = at + name.len();
    let digits = value[start..].iter().take_while(|b| b.is_ascii_digit());
    let end = start + digits.count();
    let number = std::str::from_utf8(&value[start..end]).unwrap();
    ([&value[..start], instead, &value[end..]].concat(), number.parse().unwrap())
}
