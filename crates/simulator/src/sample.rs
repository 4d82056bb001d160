//! The sample app: the property manager's two notices that Hongyan grew from. Used by the demo, the phone
//! example and tests.

use crate::api::{AppSpec, TemplateKind, TemplateSpec};

pub const SAMPLE_APPID: &str = "wx5a3f0c2b7d9e4186";
pub const SAMPLE_OPENID: &str = "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s";

/// 幸福物业 with 用户收费通知 and 工单维护通知, without a callback.
pub fn sample_app() -> AppSpec {
    let mut app = AppSpec::new("幸福物业", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "gh_ea84a199bf81");
    app.templates = vec![
        TemplateSpec {
            id: "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ".to_owned(),
            title: "用户收费通知".to_owned(),
            kind: TemplateKind::OneTime,
            content: "服务内容:{{thing8.DATA}}\n备注:{{thing5.DATA}}\n".to_owned(),
            example: "服务内容:物业费\n备注:请于本月底前缴纳\n".to_owned(),
            enums: Default::default(),
        },
        TemplateSpec {
            id: "3gMbhH_bFuZlXiaJffCqXlNoqKvJwz_zUSmr-z1jEyo".to_owned(),
            title: "工单维护通知".to_owned(),
            kind: TemplateKind::OneTime,
            content: "公司名称:{{thing1.DATA}}\n地址:{{thing4.DATA}}\n用户姓名:{{name2.DATA}}\n\
                      联系方式:{{phone_number3.DATA}}\n报修原因:{{thing19.DATA}}\n"
                .to_owned(),
            example: "公司名称:幸福物业\n地址:3 栋 1201\n用户姓名:张三\n联系方式:0571-88886666\n\
                      报修原因:厨房水管漏水\n"
                .to_owned(),
            enums: Default::default(),
        },
    ];
    app
}
