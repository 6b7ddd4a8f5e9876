//! `evidence:` of a runbook: to whom unredacted originals are sealed.

use crate::model::recipient::{REMEDY, Recipient, SealKey};
use crate::model::yaml::{self, Fields, Mistakes, Node};

/// Reads `seal-originals-to`; nobody where it is not there.
pub(super) fn recipients(node: Option<&Node>, mistakes: &Mistakes) -> Vec<Recipient> {
    let Some(mut fields) = node.and_then(|node| Fields::of(node, "`evidence`", mistakes)) else {
        return Vec::new();
    };
    let mut all: Vec<Recipient> = Vec::new();
    let list = fields.take("seal-originals-to");
    for item in list.map_or(&[][..], |list| yaml::items(list, "seal-originals-to", mistakes)) {
        let Some(mut fields) = Fields::of(item, "somebody who may open originals", mistakes) else {
            continue;
        };
        let person = fields.need(
            "person",
            "write who holds the key, as in `person: kim@vendor.example`",
        );
        let key = fields.need("key", REMEDY);
        fields.finish();
        let name = person.and_then(|node| Some((node, yaml::text(node, "person", mistakes)?)));
        let text = key.and_then(|node| Some((node, yaml::text(node, "key", mistakes)?)));
        let (Some((person_at, person)), Some((key_at, text))) = (name, text) else {
            continue;
        };
        if person.is_empty() || person.contains(['*', '?', '!', ',', ' ']) {
            let remedy = Some("write one person, as they would act in an incident".to_owned());
            mistakes.add(person_at.place, format!("`{person}` is not one person"), remedy);
        }
        match SealKey::parse(&text) {
            Ok(key) => match all.iter().find(|other| other.key.point() == key.point()) {
                Some(other) => {
                    let message = format!("{} has this key already", other.person);
                    mistakes.add(key_at.place, message, Some("name each key once".to_owned()));
                }
                None => all.push(Recipient { person, key }),
            },
            Err(why) => mistakes.add(key_at.place, why.to_string(), Some(REMEDY.to_owned())),
        }
    }
    fields.finish();
    all
}
