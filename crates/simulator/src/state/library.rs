//! The public template library (公共模板库), a small one; and taking templates from it and deleting them.

use std::sync::Arc;

use super::{App, Simulator};
use crate::api::{TemplateKind, TemplateSpec};

/// Own templates an app may have.
const ROOM: usize = 25;

pub(crate) struct Category {
    pub(crate) id: u32,
    pub(crate) name: &'static str,
}

pub(crate) struct Title {
    pub(crate) tid: u32,
    pub(crate) title: &'static str,
    pub(crate) kind: TemplateKind,
    pub(crate) category: u32,
    pub(crate) keywords: &'static [Keyword],
}

pub(crate) struct Keyword {
    pub(crate) kid: u32,
    pub(crate) name: &'static str,
    pub(crate) example: &'static str,
    /// The kind of its value, and what its key begins with.
    pub(crate) rule: &'static str,
}

const fn keyword(kid: u32, name: &'static str, example: &'static str, rule: &'static str) -> Keyword {
    Keyword { kid, name, example, rule }
}

pub(crate) const CATEGORIES: &[Category] =
    &[Category { id: 616, name: "物业管理" }, Category { id: 2, name: "公共服务" }];

pub(crate) const TITLES: &[Title] = &[
    Title {
        tid: 2001,
        title: "用户收费通知",
        kind: TemplateKind::OneTime,
        category: 616,
        keywords: &[
            keyword(5, "备注", "请于本月底前缴纳", "thing"),
            keyword(6, "金额", "128.50元", "amount"),
            keyword(7, "截止日期", "2026年11月30日", "date"),
            keyword(8, "服务内容", "物业费", "thing"),
        ],
    },
    Title {
        tid: 2002,
        title: "工单维护通知",
        kind: TemplateKind::OneTime,
        category: 616,
        keywords: &[
            keyword(1, "公司名称", "幸福物业", "thing"),
            keyword(2, "用户姓名", "张三", "name"),
            keyword(3, "联系方式", "0571-88886666", "phone_number"),
            keyword(4, "地址", "3 栋 1201", "thing"),
            keyword(19, "报修原因", "厨房水管漏水", "thing"),
        ],
    },
    Title {
        tid: 2003,
        title: "停水停电通知",
        kind: TemplateKind::OneTime,
        category: 616,
        keywords: &[
            keyword(1, "开始时间", "2026年11月24日 09:00", "time"),
            keyword(2, "结束时间", "2026年11月24日 17:00", "time"),
            keyword(3, "停用原因", "管道检修", "thing"),
        ],
    },
    Title {
        tid: 3001,
        title: "办事进度提醒",
        kind: TemplateKind::LongTerm,
        category: 2,
        keywords: &[
            keyword(1, "事项", "居住证续期", "thing"),
            keyword(2, "进度", "已受理", "phrase"),
            keyword(3, "时间", "2026年11月24日 09:00", "time"),
        ],
    },
];

pub(crate) fn title(tid: &str) -> Option<&'static Title> {
    let tid: u32 = tid.trim().parse().ok()?;
    TITLES.iter().find(|title| title.tid == tid)
}

impl Simulator {
    /// 选用模板: the new template's id, or the errcode.
    pub(crate) fn add_template(
        &self,
        app: &Arc<App>,
        tid: &str,
        kids: &[u32],
        scene: &str,
    ) -> Result<String, i32> {
        let title = title(tid).ok_or(200_014)?;
        let mut keywords = Vec::new();
        for kid in kids {
            let keyword = title.keywords.iter().find(|keyword| keyword.kid == *kid).ok_or(200_020)?;
            if keywords.iter().any(|other: &&Keyword| other.kid == *kid) {
                return Err(200_020);
            }
            keywords.push(keyword);
        }
        if !(2..=5).contains(&keywords.len()) {
            return Err(200_020);
        }
        if scene.is_empty() || scene.chars().count() > 15 {
            return Err(200_021);
        }
        let lines = |line: &dyn Fn(&Keyword) -> String| keywords.iter().map(|one| line(one)).collect();
        let content: String = lines(&|one| format!("{}:{{{{{}{}.DATA}}}}\n", one.name, one.rule, one.kid));
        let example: String = lines(&|one| format!("{}:{}\n", one.name, one.example));
        let id = self.0.chance.template_id();
        let fresh = TemplateSpec {
            id: id.clone(),
            title: title.title.to_owned(),
            kind: title.kind,
            content,
            example,
            enums: Default::default(),
        };
        app.amend(|spec| {
            let same = |own: &TemplateSpec| own.title == fresh.title && own.content == fresh.content;
            if spec.templates.iter().any(same) {
                return Err(200_022);
            }
            if spec.templates.len() >= ROOM {
                return Err(200_012);
            }
            spec.templates.push(fresh);
            Ok(())
        })?;
        self.0.live.tell("app", &app.appid, None, || serde_json::json!({}));
        Ok(id)
    }

    /// 删除模板
    pub(crate) fn delete_template(&self, app: &Arc<App>, id: &str) -> Result<(), i32> {
        app.amend(|spec| {
            let before = spec.templates.len();
            spec.templates.retain(|own| own.id != id);
            if spec.templates.len() < before { Ok(()) } else { Err(200_014) }
        })?;
        self.0.live.tell("app", &app.appid, None, || serde_json::json!({}));
        Ok(())
    }
}
