//! Answers of the AWS query protocol.

use std::fmt::Display;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::error::ApiError;

const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// An XML document under construction.
pub(super) struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn new() -> Self {
        Self(Writer::new(Vec::new()))
    }

    fn event(&mut self, event: Event<'_>) {
        // The writer's only errors are those of the sink, and memory has none.
        let _ = self.0.write_event(event);
    }

    /// An element with a text.
    pub(super) fn leaf(&mut self, name: &str, value: impl Display) {
        self.event(Event::Start(BytesStart::new(name)));
        self.event(Event::Text(BytesText::new(&value.to_string())));
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// An element with elements inside.
    pub(super) fn node(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.event(Event::Start(BytesStart::new(name)));
        content(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// A list of structures.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut content: impl FnMut(&mut Self, T),
    ) {
        self.node(name, |xml| {
            for item in items {
                xml.node("member", |xml| content(xml, item));
            }
        });
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, name: &str, items: impl IntoIterator<Item = impl Display>) {
        self.node(name, |xml| {
            for item in items {
                xml.leaf("member", item);
            }
        });
    }
}

/// The answer to a call that succeeded.
pub(super) fn success(action: &str, id: &str, content: impl FnOnce(&mut Xml)) -> Vec<u8> {
    document(&format!("{action}Response"), |xml| {
        xml.node(&format!("{action}Result"), content);
        xml.node("ResponseMetadata", |xml| xml.leaf("RequestId", id));
    })
}

/// The answer to a call that was refused.
pub(super) fn error(error: &ApiError, id: &str) -> Vec<u8> {
    document("ErrorResponse", |xml| {
        xml.node("Error", |xml| {
            xml.leaf("Type", if error.status < 500 { "Sender" } else { "Receiver" });
            xml.leaf("Code", &error.code);
            xml.leaf("Message", &error.message);
        });
        xml.leaf("RequestId", id);
    })
}

fn document(root: &str, content: impl FnOnce(&mut Xml)) -> Vec<u8> {
    let mut xml = Xml::new();
    xml.event(Event::Start(BytesStart::new(root).with_attributes([("xmlns", NAMESPACE)])));
    content(&mut xml);
    xml.event(Event::End(BytesEnd::new(root)));
    xml.0.into_inner()
}
