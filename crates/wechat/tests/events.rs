//! The three subscribe events in every shape that pages and captures show, and everything else that is pushed.

use wechat::callback::event::{ChangeItem, Decision, Kind, ParseError, PopupItem, SentItem, parse};
use wechat::callback::{MAX_ITEMS, TreeError};

/// A list of items as JSON objects and as XML, for one event.
struct Sample {
    event: &'static str,
    wrapper: &'static str,
    json: [&'static str; 2],
    xml: [&'static str; 2],
    kind: fn(usize) -> Kind,
}

const SAMPLES: [Sample; 3] = [
    Sample {
        event: "subscribe_msg_popup_event",
        wrapper: "SubscribeMsgPopupEvent",
        json: [
            r#"{"TemplateId":"T1","SubscribeStatusString":"accept","PopupScene":"0"}"#,
            r#"{"TemplateId":"T2","SubscribeStatusString":"reject","PopupScene":2}"#,
        ],
        xml: [
            "<TemplateId><![CDATA[T1]]></TemplateId><SubscribeStatusString><![CDATA[accept]]></SubscribeStatusString><PopupScene>0</PopupScene>",
            "<TemplateId>T2</TemplateId><SubscribeStatusString>reject</SubscribeStatusString><PopupScene>2</PopupScene>",
        ],
        kind: |count| {
            let (one, two) = (("T1", Decision::Accept, "0"), ("T2", Decision::Reject, "2"));
            let item = |(id, decision, scene): (&str, Decision, &str)| PopupItem {
                template_id: id.into(),
                decision,
                scene: Some(scene.into()),
            };
            Kind::Popup([one, two].into_iter().map(item).take(count).collect())
        },
    },
    Sample {
        event: "subscribe_msg_change_event",
        wrapper: "SubscribeMsgChangeEvent",
        json: [
            r#"{"TemplateId":"T1","SubscribeStatusString":"reject"}"#,
            r#"{"TemplateId":"T2","SubscribeStatusString":"acceptWithAudio"}"#,
        ],
        xml: [
            "<TemplateId>T1</TemplateId><SubscribeStatusString>reject</SubscribeStatusString>",
            "<TemplateId>T2</TemplateId><SubscribeStatusString>acceptWithAudio</SubscribeStatusString>",
        ],
        kind: |count| {
            let item = |(id, decision): (&str, Decision)| ChangeItem { template_id: id.into(), decision };
            let both = [("T1", Decision::Reject), ("T2", Decision::Accept)];
            Kind::Change(both.into_iter().map(item).take(count).collect())
        },
    },
    Sample {
        event: "subscribe_msg_sent_event",
        wrapper: "SubscribeMsgSentEvent",
        json: [
            r#"{"TemplateId":"T1","MsgID":"1864323726461255680","ErrorCode":"0","ErrorStatus":"success"}"#,
            r#"{"TemplateId":"T2","MsgID":18446744073709551615,"ErrorCode":-3,"ErrorStatus":"system error"}"#,
        ],
        xml: [
            "<TemplateId>T1</TemplateId><MsgID>1864323726461255680</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus>",
            "<TemplateId>T2</TemplateId><MsgID>18446744073709551615</MsgID><ErrorCode>-3</ErrorCode><ErrorStatus>system error</ErrorStatus>",
        ],
        kind: |count| {
            let item = |(id, msg_id, error_code, status): (&str, u64, i64, &str)| SentItem {
                template_id: id.into(),
                msg_id: Some(msg_id),
                error_code,
                error_status: status.into(),
            };
            let both =
                [("T1", 1_864_323_726_461_255_680, 0, "success"), ("T2", u64::MAX, -3, "system error")];
            Kind::Sent(both.into_iter().map(item).take(count).collect())
        },
    },
];

#[test]
fn every_shape_in_json() {
    for sample in &SAMPLES {
        let Sample { event, wrapper, json: [a, b], .. } = sample;
        let shapes = [
            (1, format!(r#""List":{a}"#)),
            (1, format!(r#""List":[{a}]"#)),
            (2, format!(r#""List":[{a},{b}]"#)),
            (1, format!(r#""{wrapper}":{{"List":{a}}}"#)),
            (1, format!(r#""{wrapper}":{{"List":[{a}]}}"#)),
            (2, format!(r#""{wrapper}":{{"List":[{a},{b}]}}"#)),
            (1, format!(r#""{wrapper}":{a}"#)),
            (2, format!(r#""{wrapper}":[{a},{b}]"#)),
            (2, format!(r#""{wrapper}":[{{"List":{a}}},{{"List":{b}}}]"#)),
        ];
        for (count, list) in shapes {
            for time in ["1686131943", "\"1686131943\""] {
                let body = format!(
                    r#"{{"ToUserName":"gh_1","FromUserName":"oG","CreateTime":{time},"MsgType":"event","Event":"{event}",{list}}}"#
                );
                let push = parse(body.as_bytes()).unwrap();
                assert_eq!(push.kind, (sample.kind)(count), "{body}");
                assert_eq!((push.to_user.as_str(), push.from_user.as_str()), ("gh_1", "oG"));
                assert_eq!((push.create_time, push.event.as_deref()), (1_686_131_943, Some(*event)));
            }
        }
    }
}

#[test]
fn every_shape_in_xml() {
    for sample in &SAMPLES {
        let Sample { event, wrapper, xml: [a, b], .. } = sample;
        let shapes = [
            (1, format!("<{wrapper}><List>{a}</List></{wrapper}>")),
            (2, format!("<{wrapper}>\n<List>{a}</List>\n<List>{b}</List>\n</{wrapper}>")),
            (1, format!("<List>{a}</List>")),
            (2, format!("<List>{a}</List><List>{b}</List>")),
            (1, format!("<{wrapper}>{a}</{wrapper}>")),
            (2, format!("<{wrapper}>{a}</{wrapper}><{wrapper}>{b}</{wrapper}>")),
        ];
        for (count, list) in shapes {
            let body = format!(
                "<?xml version=\"1.0\"?>\n<xml>\n<ToUserName><![CDATA[gh_1]]></ToUserName>\n<FromUserName><![CDATA[oG]]></FromUserName>\
                 <CreateTime> 1686131943 </CreateTime><MsgType><![CDATA[event]]></MsgType>\
                 <Event><![CDATA[{event}]]></Event><!-- note -->{list}</xml>"
            );
            let push = parse(body.as_bytes()).unwrap();
            assert_eq!(push.kind, (sample.kind)(count), "{body}");
            assert_eq!((push.to_user.as_str(), push.from_user.as_str()), ("gh_1", "oG"));
            assert_eq!(push.create_time, 1_686_131_943);
        }
    }
}

#[test]
fn the_event_of_the_write_up() {
    let body = r#"{"ToUserName":"gh_ea84a199bf81","FromUserName":"oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s","CreateTime":1686131943,"MsgType":"event","Event":"subscribe_msg_popup_event","List":{"PopupScene":"0","SubscribeStatusString":"accept","TemplateId":"4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ"}}"#;
    let push = parse(body.as_bytes()).unwrap();
    assert_eq!(push.to_user, "gh_ea84a199bf81");
    assert_eq!(push.from_user, "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s");
    let expected = PopupItem {
        template_id: "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ".into(),
        decision: Decision::Accept,
        scene: Some("0".into()),
    };
    assert_eq!(push.kind, Kind::Popup(vec![expected]));
}

#[test]
fn only_words_that_begin_with_accept_accept() {
    for word in ["accept", "acceptWithAudio", "acceptWithAlert"] {
        assert_eq!(Decision::read(word), Decision::Accept);
    }
    assert_eq!(Decision::read("reject"), Decision::Reject);
    for word in ["ban", "filter", "Accept", "not accept", ""] {
        assert_eq!(Decision::read(word), Decision::Other(word.into()));
        assert_eq!(Decision::read(word).as_str(), word);
    }
}

fn popup(fields: &str) -> Result<Kind, ParseError> {
    let body = format!(r#"{{"MsgType":"event","Event":"subscribe_msg_popup_event",{fields}}}"#);
    parse(body.as_bytes()).map(|push| push.kind)
}

#[test]
fn incomplete_subscribe_events_are_refused() {
    let list = r#""List":{"TemplateId":"T","SubscribeStatusString":"accept"}"#;
    let who = r#""FromUserName":"o","CreateTime":1"#;
    assert!(popup(&format!("{who},{list}")).is_ok());
    let cases = [
        (format!(r#""CreateTime":1,{list}"#), ParseError::Missing("FromUserName")),
        (format!(r#""FromUserName":"o",{list}"#), ParseError::Missing("CreateTime")),
        (format!(r#""FromUserName":"o","CreateTime":"x",{list}"#), ParseError::NotANumber("CreateTime")),
        (who.to_owned(), ParseError::Missing("List")),
        (format!(r#"{who},"List":[]"#), ParseError::Missing("List")),
        (format!(r#"{who},"List":null"#), ParseError::Missing("List")),
        (format!(r#"{who},"SubscribeMsgPopupEvent":{{"List":[]}}"#), ParseError::Missing("List")),
        (format!(r#"{who},"List":"x""#), ParseError::Missing("TemplateId")),
        (format!(r#"{who},"List":{{"TemplateId":"T"}}"#), ParseError::Missing("SubscribeStatusString")),
        (
            format!(r#"{who},"List":{{"TemplateId":" ","SubscribeStatusString":"accept"}}"#),
            ParseError::Missing("TemplateId"),
        ),
    ];
    for (fields, error) in cases {
        assert_eq!(popup(&fields).unwrap_err(), error, "{fields}");
    }
}

#[test]
fn sent_events_need_their_code_but_not_their_id() {
    let sent = |item: &str| {
        let body = format!(
            r#"{{"MsgType":"event","Event":"subscribe_msg_sent_event","FromUserName":"o","CreateTime":1,"List":{item}}}"#
        );
        parse(body.as_bytes()).map(|push| push.kind)
    };
    let without = sent(r#"{"TemplateId":"T","ErrorCode":0}"#).unwrap();
    let item = SentItem { template_id: "T".into(), msg_id: None, error_code: 0, error_status: String::new() };
    assert_eq!(without, Kind::Sent(vec![item]));
    assert_eq!(sent(r#"{"TemplateId":"T"}"#), Err(ParseError::Missing("ErrorCode")));
    assert_eq!(sent(r#"{"TemplateId":"T","ErrorCode":"x"}"#), Err(ParseError::NotANumber("ErrorCode")));
    assert_eq!(sent(r#"{"TemplateId":"T","ErrorCode":0.5}"#), Err(ParseError::NotANumber("ErrorCode")));
}

#[test]
fn who_took_what_back_is_read() {
    let fields =
        [("OpenID", "oG"), ("AppID", "wx1"), ("RevokeInfo", "301"), ("Event", "user_authorization_revoke")];
    let json = fields.map(|(name, value)| format!(r#","{name}":"{value}""#)).concat();
    let json = format!(r#"{{"MsgType":"event","FromUserName":"platform","CreateTime":1{json}}}"#);
    let xml = fields.map(|(name, value)| format!("<{name}><![CDATA[{value}]]></{name}>")).concat();
    let xml = format!("<xml><MsgType>event</MsgType><FromUserName>platform</FromUserName>{xml}</xml>");
    for body in [json.clone(), xml, json.replace("\"301\"", "301")] {
        let push = parse(body.as_bytes()).unwrap();
        assert_eq!(push.kind, Kind::OtherEvent("user_authorization_revoke".into()), "{body}");
        assert_eq!(
            (push.open_id.as_deref(), push.revoke_info.as_deref()),
            (Some("oG"), Some("301")),
            "{body}"
        );
        assert_eq!(push.from_user, "platform");
    }
    let without = parse(br#"{"MsgType":"event","Event":"debug_demo"}"#).unwrap();
    assert_eq!((without.open_id, without.revoke_info), (None, None));
}

#[test]
fn five_thousand_items_are_refused_in_every_shape() {
    let (json, xml) = (
        r#"{"TemplateId":"T","MsgID":1,"ErrorCode":0}"#,
        "<List><TemplateId>T</TemplateId><ErrorCode>0</ErrorCode></List>",
    );
    let list = format!("[{}]", vec![json; 5_000].join(","));
    let repeated = vec![format!(r#""List":{json}"#); 5_000].join(",");
    let who = r#""MsgType":"event","Event":"subscribe_msg_sent_event","FromUserName":"o","CreateTime":1"#;
    let xml_who = "<MsgType>event</MsgType><Event>subscribe_msg_sent_event</Event><FromUserName>o</FromUserName><CreateTime>1</CreateTime>";
    for body in [
        format!(r#"{{{who},"List":{list}}}"#),
        format!(r#"{{{who},{repeated}}}"#),
        format!(r#"{{{who},"SubscribeMsgSentEvent":{{"List":{list}}}}}"#),
        format!(r#"{{{who},"SubscribeMsgSentEvent":{list}}}"#),
        // Below the size bound as XML only without the ids.
        format!("<xml>{xml_who}{}</xml>", "<List><TemplateId/></List>".repeat(5_000)),
        format!(
            "<xml>{xml_who}<SubscribeMsgSentEvent>{}</SubscribeMsgSentEvent></xml>",
            "<List><a/></List>".repeat(5_000)
        ),
    ] {
        assert_eq!(parse(body.as_bytes()).unwrap_err(), ParseError::TooManyItems, "{}", &body[..200]);
    }
    let large = format!("<xml>{xml_who}{}</xml>", xml.repeat(5_000));
    assert_eq!(parse(large.as_bytes()).unwrap_err(), ParseError::Tree(TreeError::TooLarge));
}

#[test]
fn ten_megabytes_and_ten_thousand_levels_are_refused_inside_too() {
    let levels = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    for (body, reason) in [
        (levels("<a>", "</a>"), TreeError::TooDeep),
        (format!(r#"{{"MsgType":{}}}"#, levels("[", "]")), TreeError::TooDeep),
        (format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000)), TreeError::TooDeep),
        ("{".repeat(10 << 20), TreeError::TooLarge),
        (" ".repeat(10 << 20), TreeError::TooLarge),
    ] {
        assert_eq!(parse(body.as_bytes()), Err(ParseError::Tree(reason)), "{}", &body[..20]);
    }
}

#[test]
fn items_are_bounded() {
    let item = r#"{"TemplateId":"T","SubscribeStatusString":"accept"}"#;
    let with = |count: usize| {
        popup(&format!(r#""FromUserName":"o","CreateTime":1,"List":[{}]"#, vec![item; count].join(",")))
    };
    assert!(matches!(with(MAX_ITEMS).unwrap(), Kind::Popup(items) if items.len() == MAX_ITEMS));
    assert_eq!(with(MAX_ITEMS + 1).unwrap_err(), ParseError::TooManyItems);
}

#[test]
fn other_pushes_are_told_apart() {
    let kind = |body: &str| parse(body.as_bytes()).unwrap().kind;
    assert_eq!(
        kind(r#"{"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}"#),
        Kind::OtherEvent("debug_demo".into())
    );
    assert_eq!(
        kind(r#"{"MsgType":"event","Event":"user_authorization_cancellation","OpenID":"o","AppID":"wx"}"#),
        Kind::OtherEvent("user_authorization_cancellation".into())
    );
    assert_eq!(
        kind(
            "<xml><AppId>wx</AppId><CreateTime>1</CreateTime><InfoType>component_verify_ticket</InfoType></xml>"
        ),
        Kind::OtherEvent("component_verify_ticket".into())
    );
    assert_eq!(kind(r#"{"MsgType":"event"}"#), Kind::Unknown);
    let chat = parse(br#"{"ToUserName":"gh_1","FromUserName":"o","CreateTime":5,"MsgType":"text","Content":"hi","MsgId":6054768590064713728}"#).unwrap();
    assert_eq!((chat.kind, chat.msg_id), (Kind::CustomerService, Some(6_054_768_590_064_713_728)));
    assert_eq!((chat.msg_type.as_str(), chat.create_time, chat.event), ("text", 5, None));
    // A chat message cannot pass for an event.
    let forged = r#"{"MsgType":"text","Event":"subscribe_msg_popup_event","List":{}}"#;
    assert_eq!(kind(forged), Kind::CustomerService);
}

#[test]
fn unreadable_bodies_are_refused() {
    assert_eq!(parse(b"success"), Err(ParseError::Tree(TreeError::NeitherJsonNorXml)));
    assert_eq!(parse(b"{\"MsgType\":"), Err(ParseError::Tree(TreeError::Json)));
    assert_eq!(parse(b"<xml><MsgType>"), Err(ParseError::Tree(TreeError::Xml)));
    assert_eq!(parse(b"{}"), Err(ParseError::Missing("MsgType")));
    assert_eq!(parse(b"<xml/>"), Err(ParseError::Missing("MsgType")));
    let bomb = b"<!DOCTYPE x [<!ENTITY a \"aaaa\">]><xml><MsgType>&a;</MsgType></xml>";
    assert_eq!(parse(bomb), Err(ParseError::Tree(TreeError::Entity)));
}

#[test]
fn character_references_and_cdata_are_read_as_text() {
    let body = "<xml><MsgType>event</MsgType><Event>a&amp;&#x4e2d;<![CDATA[<b>]]></Event></xml>";
    assert_eq!(parse(body.as_bytes()).unwrap().kind, Kind::OtherEvent("a&中<b>".into()));
}
