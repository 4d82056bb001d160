//! A template as the send call and `gettemplate` need it. What its fields may hold is `wechat`'s knowledge.

use crate::api::{FieldView, TemplateKind, TemplateSpec, TemplateView};

use super::Refusal;

pub(crate) struct Template {
    pub(crate) number: u32,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) kind: TemplateKind,
    pub(crate) fields: Vec<Field>,
    pub(crate) spec: TemplateSpec,
}

pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) label: String,
}

impl Template {
    pub(crate) fn parse(spec: &TemplateSpec, number: u32) -> Result<Self, Refusal> {
        let fields: Vec<Field> = parse(&spec.content);
        if fields.is_empty() {
            return Err(Refusal::Invalid(format!("template {} has no {{{{key.DATA}}}} line", spec.id)));
        }
        Ok(Self {
            number,
            id: spec.id.clone(),
            title: spec.title.clone(),
            kind: spec.kind,
            fields,
            spec: spec.clone(),
        })
    }

    pub(crate) fn view(&self) -> TemplateView {
        TemplateView {
            id: self.id.clone(),
            title: self.title.clone(),
            kind: self.kind,
            fields: self
                .fields
                .iter()
                .map(|field| FieldView { key: field.key.clone(), label: field.label.clone() })
                .collect(),
            example: self.spec.example.clone(),
        }
    }

    /// None if the value may stand in the field.
    pub(crate) fn fault(&self, field: &Field, value: &str) -> Option<&'static str> {
        let _ = field;
        if value.is_empty() {
            return Some("is empty");
        }
        None
    }
}

fn parse(content: &str) -> Vec<Field> {
    content
        .lines()
        .filter_map(|line| {
            let (label, rest) = line.split_once("{{")?;
            let (key, _) = rest.split_once(".DATA}}")?;
            Some(Field { key: key.to_owned(), label: label.trim_end_matches([':', '：']).to_owned() })
        })
        .collect()
}
