//! What a write asked for, for the audit: its resource, and the attributes in its body.
//!
//! Who reads the body notes it, and who has answered takes it: both are in the task of one request. Where no file is told, nothing
//! is noted.

use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

tokio::task_local! {
    static ASKED: Asked;
}

/// The longest value of an attribute in octets, as JSON. Of a longer one only the length is noted.
const LONGEST: usize = 256;
/// The most attributes of all resources of a request.
const MOST: usize = 64;
/// Attributes whose values may have secrets of other services.
const SECRET: [&str; 2] = ["binding:profile", "profile"];

/// What a request asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<Mutex<AskedWrite>>);

#[derive(Clone, Debug, Default)]
struct AskedWrite {
    resources: Vec<Value>,
    attributes: Option<Value>,
}

impl Asked {
    /// Does the work of a request, which may note what it is asked for.
    pub(crate) async fn by<T>(&self, work: impl Future<Output = T>) -> T {
        ASKED.scope(self.clone(), work).await
    }

    /// Adds what was noted to a record.
    pub(crate) fn add_to(&self, record: &mut Map<String, Value>) {
        let noted = self.state().clone();
        if !noted.resources.is_empty() {
            record.insert("resources".to_owned(), noted.resources.into());
        }
        if let Some(attributes) = noted.attributes {
            record.insert("attributes".to_owned(), attributes);
        }
    }

    fn state(&self) -> MutexGuard<'_, AskedWrite> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of the request that this task serves.
pub(crate) fn note_body(body: &Map<String, Value>) {
    let _ = ASKED.try_with(|asked| asked.state().attributes = Some(shown_body(body)));
}

/// A resource that the request made, changed or removed.
pub(crate) fn note_resource(id: &impl ToString, name: &str) {
    let _ = ASKED.try_with(|asked| {
        let resource = json!({"id": id.to_string(), "name": name});
        asked.state().resources.push(resource);
    });
}

/// The attributes within the envelope; of several resources, a list of them.
fn shown_body(body: &Map<String, Value>) -> Value {
    let mut room = MOST;
    let mut inner = body.iter();
    match (inner.next(), inner.next()) {
        (Some((_, Value::Object(attributes))), None) => shown_object(attributes, &mut room),
        (Some((_, Value::Array(items))), None) if items.iter().all(Value::is_object) => {
            let items = items.iter().filter_map(Value::as_object);
            let items = items.map(|item| match item.values().next() {
                Some(Value::Object(own)) if item.len() == 1 => own,
                Some(_) | None => item,
            });
            let items: Vec<Value> = items
                .map_while(|item| (room > 0).then(|| shown_object(item, &mut room)))
                .collect();
            items.into()
        }
        _ => shown_object(body, &mut room),
    }
}

fn shown_object(attributes: &Map<String, Value>, room: &mut usize) -> Value {
    let mut shown = Map::new();
    for (name, value) in attributes {
        if *room == 0 {
            break;
        }
        *room -= 1;
        let name: String = name.chars().take(LONGEST).collect();
        let value = match SECRET.contains(&&*name) {
            true => json!("not shown"),
            false => shown_value(value),
        };
        shown.insert(name, value);
    }
    shown.into()
}

fn shown_value(value: &Value) -> Value {
    let length = value.to_string().len();
    match length <= LONGEST {
        true => value.clone(),
        false => json!(format!("{length} octets")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: Value) -> Value {
        shown_body(body.as_object().unwrap())
    }

    #[test]
    fn what_is_asked_for_is_shown_but_for_secrets_and_what_is_long() {
        let port = json!({"port": {"name": "web", "binding:profile": {"token": "hunter2"}, "description": "x".repeat(300)}});
        let expected =
            json!({"name": "web", "binding:profile": "not shown", "description": "302 octets"});
        assert_eq!(shown(port), expected);
        let many = json!({"networks": [{"name": "a"}, {"network": {"name": "b"}}]});
        assert_eq!(shown(many), json!([{"name": "a"}, {"name": "b"}]));
        let action = json!({"subnet_id": "s", "port_id": null});
        assert_eq!(shown(action.clone()), action);
        let endless: Vec<Value> = (0..1000).map(|_| json!({"name": "a"})).collect();
        let endless = shown(json!({"networks": endless}));
        assert_eq!(endless.as_array().unwrap().len(), MOST);
    }

    #[tokio::test]
    async fn what_one_request_asks_is_no_other_ones() {
        let (one, other) = (Asked::default(), Asked::default());
        one.by(async { note_resource(&"1", "web") }).await;
        other.by(async { note_body(&Map::new()) }).await;
        note_resource(&"2", "nobody's");
        let record = |asked: &Asked| {
            let mut record = Map::new();
            asked.add_to(&mut record);
            Value::Object(record)
        };
        assert_eq!(
            record(&one),
            json!({"resources": [{"id": "1", "name": "web"}]})
        );
        assert_eq!(record(&other), json!({"attributes": {}}));
    }
}
