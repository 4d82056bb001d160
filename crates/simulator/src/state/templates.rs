//! A template as the send call and `gettemplate` need it. What its fields may hold is `wechat`'s knowledge.

use wechat::template::{Field, ProblemCode, check_value, parse_content};

use super::Refusal;
use crate::api::{FieldView, TemplateKind, TemplateSpec, TemplateView};

pub(crate) struct Template {
    pub(crate) number: u32,
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) kind: TemplateKind,
    pub(crate) fields: Vec<Field>,
    pub(crate) spec: TemplateSpec,
}

impl Template {
    pub(crate) fn parse(spec: &TemplateSpec, number: u32) -> Result<Self, Refusal> {
        let fields = parse_content(&spec.content, &spec.example, &spec.enums);
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

    /// What WeChat says about the first value that may not stand in its field, in the order of the template.
    pub(crate) fn fault<'a>(&self, value: impl Fn(&str) -> &'a str) -> Option<String> {
        self.fields.iter().find_map(|field| {
            let problems = check_value(&field.kind, value(&field.key), &field.enum_values);
            let word = match problems.first()?.code {
                ProblemCode::Empty | ProblemCode::Missing => "is empty",
                _ => "invalid",
            };
            Some(format!("argument invalid! data.{}.value {word}", field.key))
        })
    }
}
