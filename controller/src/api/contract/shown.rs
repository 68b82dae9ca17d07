//! What the API shows of a resource, attribute by attribute.
//!
//! A resource names its attributes one after the other. It does not know where they go: into the text of an answer,
//! directly into its buffer, or as values for a filter or an order.

use serde::Serialize;
use serde_json::{Map, Value};

/// The place where a resource puts its attributes.
pub(crate) struct Shown<'a> {
    wanted: Fields<'a>,
    hidden: Vec<&'static str>,
    sink: Sink<'a>,
}

/// The place of one attribute that was asked for.
pub(crate) struct Slot<'s, 'a> {
    name: &'static str,
    shown: &'s mut Shown<'a>,
}

/// The attributes that are asked for.
#[derive(Clone, Copy)]
pub(crate) enum Fields<'a> {
    /// All of them.
    All,
    /// Those of these names.
    Named(&'a [String]),
}

enum Sink<'a> {
    /// The fields of a JSON object, with commas between.
    Json {
        text: &'a mut Vec<u8>,
        empty: bool,
    },
    Values(Map<String, Value>),
    /// Of one attribute.
    Value(Value),
}

impl Fields<'_> {
    fn has(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|wanted| wanted == name),
        }
    }
}

impl<'a> Shown<'a> {
    /// Appends the attributes that `show` puts to `text`, as a JSON object.
    pub(crate) fn write(text: &mut Vec<u8>, wanted: Fields<'_>, show: impl FnOnce(&mut Shown<'_>)) {
        text.push(b'{');
        let sink = Sink::Json { text, empty: true };
        show(&mut Shown {
            wanted,
            hidden: Vec::new(),
            sink,
        });
        text.push(b'}');
    }

    /// The attributes that `show` puts, as values.
    pub(crate) fn values(
        wanted: Fields<'_>,
        show: impl FnOnce(&mut Shown<'_>),
    ) -> Map<String, Value> {
        let sink = Sink::Values(Map::new());
        let mut shown = Shown {
            wanted,
            hidden: Vec::new(),
            sink,
        };
        show(&mut shown);
        match shown.sink {
            Sink::Values(values) => values,
            Sink::Json { .. } | Sink::Value(_) => Map::new(),
        }
    }

    /// The value of one attribute. Null if `show` does not put it.
    pub(crate) fn value(show: impl FnOnce(Slot<'_, '_>)) -> Value {
        let mut shown = Shown {
            wanted: Fields::All,
            hidden: Vec::new(),
            sink: Sink::Value(Value::Null),
        };
        show(Slot {
            name: "",
            shown: &mut shown,
        });
        match shown.sink {
            Sink::Value(value) => value,
            Sink::Json { .. } | Sink::Values(_) => Value::Null,
        }
    }

    /// Leaves these attributes out for everybody.
    pub(crate) fn hide(&mut self, names: Vec<&'static str>) {
        self.hidden = names;
    }

    fn has(&self, name: &str) -> bool {
        self.wanted.has(name) && !self.hidden.contains(&name)
    }

    /// The place of an attribute. `None` if nobody asked for it.
    pub(crate) fn slot<'s>(&'s mut self, name: &'static str) -> Option<Slot<'s, 'a>> {
        self.has(name).then_some(Slot { name, shown: self })
    }

    /// Shows something that is no attribute of the resource.
    pub(crate) fn put(&mut self, name: &'static str, value: impl Serialize) {
        if let Some(slot) = self.slot(name) {
            slot.put(value);
        }
    }
}

impl Slot<'_, '_> {
    /// Shows the attribute. Its name is one of ours, so it needs no escapes.
    pub(crate) fn put(self, value: impl Serialize) {
        self.shown.sink.take(self.name, value);
    }
}

impl Sink<'_> {
    /// Leaves out a value that has no form in JSON. No attribute has such values.
    fn take(&mut self, name: &str, value: impl Serialize) {
        match self {
            Self::Json { text, empty } => {
                let before = text.len();
                if !*empty {
                    text.push(b',');
                }
                text.push(b'"');
                text.extend_from_slice(name.as_bytes());
                text.extend_from_slice(b"\":");
                match serde_json::to_writer(&mut **text, &value) {
                    Ok(()) => *empty = false,
                    Err(_) => text.truncate(before),
                }
            }
            Self::Value(shown) => *shown = serde_json::to_value(value).unwrap_or_default(),
            Self::Values(values) => {
                if let Ok(value) = serde_json::to_value(value) {
                    values.insert(name.to_owned(), value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(shown: &mut Shown<'_>) {
        shown.put("name", "a \"port\"");
        shown.put("addresses", ["2001:db8::1"]);
        shown.put("mtu", 1450);
        shown.put("tags", [(); 0]);
    }

    fn written(wanted: Fields<'_>) -> String {
        let mut text = Vec::new();
        Shown::write(&mut text, wanted, show);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn text_and_values_say_the_same() {
        let text = written(Fields::All);
        let values = Shown::values(Fields::All, show);
        assert_eq!(
            values,
            serde_json::from_str::<Map<String, Value>>(&text).unwrap()
        );
        assert_eq!(values.len(), 4);
    }

    #[test]
    fn what_nobody_asked_for_is_not_there() {
        let wanted = ["tags", "name", "status"].map(str::to_owned);
        let text = written(Fields::Named(&wanted));
        assert_eq!(text, r#"{"name":"a \"port\"","tags":[]}"#);
        assert_eq!(written(Fields::Named(&[])), "{}");
    }

    #[test]
    fn what_has_no_form_in_json_leaves_no_trace() {
        let odd = std::collections::BTreeMap::from([([1], 2)]);
        let mut text = Vec::new();
        Shown::write(&mut text, Fields::All, |shown| {
            shown.put("odd", &odd);
            shown.put("mtu", 1450);
        });
        assert_eq!(text, br#"{"mtu":1450}"#);
    }
}
