//! The keys in etcd. Everything is below one prefix:
//!
//! | key | value |
//! |---|---|
//! | `format` | the format of keys and values, as in the embedded store's file |
//! | `objects/KEY` | the object of this key, both as JSON |
//! | `controllers/NAME` | which process the controller of this name is, while it lives ([`super::presence`]) |
//! | `contenders/NAME` | another process that was started with this name, while it lives |
//! | `receipts/SESSION/NUMBER` | empty: proof that a commit was made ([`super::receipts`]) |

use super::call::CallError;
use crate::store::FORMAT;
use etcd_client::GetResponse;
use sextant_model::{Change, ControllerName, Key, Object};

/// What a key in etcd is to the store.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EtcdKey<'a> {
    Format,
    Object(&'a [u8]),
    Receipt,
    /// Somebody else keeps something beside the store.
    Foreign,
}

/// The names of keys.
#[derive(Debug)]
pub(super) struct Layout {
    prefix: String,
}

const OBJECTS: &str = "objects/";
const RECEIPTS: &str = "receipts/";
const CONTROLLERS: &str = "controllers/";
const CONTENDERS: &str = "contenders/";

impl Layout {
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        Self { prefix }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn format(&self) -> String {
        format!("{}format", self.prefix)
    }

    pub(super) fn objects(&self) -> String {
        format!("{}{OBJECTS}", self.prefix)
    }

    pub(super) fn object(&self, key: &Key) -> serde_json::Result<String> {
        let key = serde_json::to_string(key)?;
        Ok(format!("{}{OBJECTS}{key}", self.prefix))
    }

    pub(super) fn controllers(&self) -> String {
        format!("{}{CONTROLLERS}", self.prefix)
    }

    pub(super) fn controller(&self, name: &ControllerName) -> String {
        format!("{}{CONTROLLERS}{name}", self.prefix)
    }

    pub(super) fn contender(&self, name: &ControllerName) -> String {
        format!("{}{CONTENDERS}{name}", self.prefix)
    }

    pub(super) fn receipts(&self) -> String {
        format!("{}{RECEIPTS}", self.prefix)
    }

    pub(super) fn receipt(&self, session: &str, number: u64) -> String {
        format!("{}{RECEIPTS}{session}/{number}", self.prefix)
    }

    /// Checks what was read at [`Self::format`].
    pub(super) fn check_format(&self, read: &GetResponse) -> Result<(), CallError> {
        let found = read.kvs().first().map(|row| row.value());
        if found == Some(format_value().as_bytes()) {
            return Ok(());
        }
        let why =
            "is not this version's: the store was removed, or another version has taken it over";
        Err(CallError::Refused(format!("{} {why}", self.format())))
    }

    pub(super) fn place<'a>(&self, key: &'a [u8]) -> EtcdKey<'a> {
        let Some(rest) = key.strip_prefix(self.prefix.as_bytes()) else {
            return EtcdKey::Foreign;
        };
        if let Some(object) = rest.strip_prefix(OBJECTS.as_bytes()) {
            return EtcdKey::Object(object);
        }
        match rest {
            b"format" => EtcdKey::Format,
            rest if rest.starts_with(RECEIPTS.as_bytes()) => EtcdKey::Receipt,
            _ => EtcdKey::Foreign,
        }
    }
}

/// The value of the key [`Layout::format`].
pub(super) fn format_value() -> String {
    FORMAT.to_string()
}

/// The end of the range of all keys with a prefix.
pub(super) fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // No octet of UTF-8 is 255.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The object at a key, which is what follows `objects/`.
pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Change, String> {
    let object: Object = serde_json::from_slice(value).map_err(|error| unreadable(key, &error))?;
    if object.key() == decode_key(key)? {
        return Ok(Change::Put(object));
    }
    Err(unreadable(key, &"something else is stored there"))
}

pub(super) fn decode_key(key: &[u8]) -> Result<Key, String> {
    serde_json::from_slice(key).map_err(|error| unreadable(key, &error))
}

fn unreadable(key: &[u8], why: &dyn std::fmt::Display) -> String {
    format!("{OBJECTS}{} cannot be read: {why}", key.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sextant_model::{Claim, NetworkKey, ObjectKey};

    #[test]
    fn each_key_is_found_again() {
        let layout = Layout::new("/cloud/");
        let odd = ObjectKey::Quota("a\"/\\\u{e9}\n".to_owned());
        for key in [
            Key::Object(odd),
            Key::Claim(Claim::NetworkKey(NetworkKey(7))),
        ] {
            let stored = layout.object(&key).unwrap();
            let EtcdKey::Object(rest) = layout.place(stored.as_bytes()) else {
                panic!("{stored}")
            };
            assert_eq!(decode_key(rest), Ok(key));
        }
        assert_eq!(layout.place(b"/cloud/format"), EtcdKey::Format);
        assert_eq!(layout.place(b"/cloud/formats"), EtcdKey::Foreign);
        assert_eq!(layout.place(b"/other/format"), EtcdKey::Foreign);
        let receipt = layout.receipt("s", 1);
        assert_eq!(layout.place(receipt.as_bytes()), EtcdKey::Receipt);
        assert_eq!(end_of("/a/"), b"/a0");
    }
}
