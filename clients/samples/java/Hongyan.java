// Hongyan from Java 17 or newer, the JDK alone: the calls a back end needs, and a receiver of webhooks.
//
//   HONGYAN_URL=http://127.0.0.1:8700 HONGYAN_KEY=hy_… java Hongyan.java APPID OPENID TEMPLATE_ID thing8=物业费 thing5=请及时缴纳
//   HONGYAN_WEBHOOK_SECRET=whsec_… java Hongyan.java receive 8080

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Hongyan {
    /** What may be repeated: the service is not there, is starting, or asks for patience. 可以重试的状态码。 */
    private static final Set<Integer> AGAIN = Set.of(429, 502, 503, 504);
    /** States in which something is still to come. 尚未结束的状态。 */
    private static final Set<String> UNDER_WAY = Set.of("scheduled", "queued", "sending");
    private static final int ATTEMPTS = 5;

    private final HttpClient http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(5)).build();
    private final String url;
    private final String key;
    private final String appId;

    public Hongyan(String url, String key, String appId) {
        this.url = url.replaceAll("/+$", "");
        this.key = key;
        this.appId = appId;
    }

    /** An answer of RFC 9457: a stable code for programs, a detail for people, errors with each wrong field. */
    public static final class Problem extends RuntimeException {
        public final int status;
        public final String code;
        public final List<Object> errors;

        Problem(int status, Map<String, Object> body) {
            super(status + " " + body.getOrDefault("code", "unknown") + ": " + body.getOrDefault("detail", ""));
            this.status = status;
            this.code = String.valueOf(body.getOrDefault("code", "unknown"));
            this.errors = body.get("errors") instanceof List<?> list ? new ArrayList<>(list) : List.of();
        }
    }

    public record Sent(Map<String, Object> message, boolean replayed) {}

    private record Answer(Map<String, Object> body, HttpResponse<String> response) {}

    /** A session for a user whom you have logged in: hand it to the mini program. 把会话交给小程序使用。 */
    public Map<String, Object> session(String openid) throws IOException, InterruptedException {
        return api("POST", "/mp-sessions", Map.of("openid", openid), null).body;
    }

    /** What the mini program asks with it: which templates to request now. 小程序端用会话查询该请求哪些模板。 */
    public Map<String, Object> ask(String session) throws IOException, InterruptedException {
        return call("GET", "/mp/" + appId + "/ask", session, null, null).body;
    }

    /**
     * Sends one message. The key names the business event (a bill's number), so that repeating the call sends nothing twice.
     * key 取业务单号：网络出错时可放心重试，不会重复发送。
     */
    public Sent send(Map<String, Object> message, String idempotencyKey) throws IOException, InterruptedException {
        Answer answer = api("POST", "/messages", message, idempotencyKey);
        String replayed = answer.response.headers().firstValue("Idempotent-Replayed").orElse("");
        return new Sent(answer.body, replayed.equals("true"));
    }

    /** One message with its state, its attempts and its receipt. */
    public Map<String, Object> message(String id) throws IOException, InterruptedException {
        return api("GET", "/messages/" + id, null, null).body;
    }

    /** The message once it is no longer under way. Webhooks tell without asking. 也可用 webhook 代替轮询。 */
    public Map<String, Object> settled(String id, Duration patience) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + patience.toNanos();
        while (true) {
            Map<String, Object> message = message(id);
            if (!UNDER_WAY.contains(String.valueOf(message.get("state"))) || System.nanoTime() > deadline) {
                return message;
            }
            Thread.sleep(300);
        }
    }

    /** How many messages this user may still be sent, by template. 该用户各模板的剩余次数。 */
    public List<?> subscriptions(String openid) throws IOException, InterruptedException {
        String query = "?openid=" + URLEncoder.encode(openid, StandardCharsets.UTF_8);
        return (List<?>) api("GET", "/subscriptions" + query, null, null).body.get("items");
    }

    private Answer api(String method, String path, Map<String, Object> body, String idempotencyKey)
            throws IOException, InterruptedException {
        return call(method, "/api/v1/apps/" + appId + path, key, body, idempotencyKey);
    }

    private Answer call(String method, String path, String bearer, Map<String, Object> body, String idempotencyKey)
            throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path))
                .timeout(Duration.ofSeconds(15))
                .header("Authorization", "Bearer " + bearer)
                .header("Accept-Language", "zh-CN")
                .header("Content-Type", "application/json")
                .method(method, body == null
                        ? HttpRequest.BodyPublishers.noBody()
                        : HttpRequest.BodyPublishers.ofString(Json.write(body)));
        if (idempotencyKey != null) {
            request.header("Idempotency-Key", idempotencyKey);
        }
        // Without its key a POST could happen twice.
        boolean repeatable = method.equals("GET") || idempotencyKey != null;
        for (int attempt = 1; ; attempt++) {
            boolean last = attempt == ATTEMPTS || !repeatable;
            long pause = (long) (200 * Math.pow(2, attempt) * ThreadLocalRandom.current().nextDouble(0.5, 1));
            try {
                HttpResponse<String> response =
                        http.send(request.build(), HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
                int status = response.statusCode();
                if (status / 100 == 2) {
                    return new Answer(Json.object(response.body()), response);
                }
                if (last || !AGAIN.contains(status)) {
                    throw problem(status, response.body());
                }
                String later = response.headers().firstValue("Retry-After").orElse("0");
                pause = Math.max(pause, later.matches("\\d{1,4}") ? Math.min(Long.parseLong(later), 60) * 1000 : 0);
            } catch (IOException error) {
                // No answer, or half of one: it may have happened all the same. 结果未知，带着同一个 key 重试。
                if (last) {
                    throw error;
                }
                System.err.println("retry     " + error);
            }
            Thread.sleep(pause);
        }
    }

    private static Problem problem(int status, String body) {
        try {
            return new Problem(status, Json.object(body));
        } catch (IOException notOurs) { // a proxy's page
            return new Problem(status, Map.of());
        }
    }

    /** Whether a webhook is Hongyan's and fresh (Standard Webhooks); the body is what came, byte for byte. */
    public static boolean verified(String secret, String id, String timestamp, String signatures, byte[] body)
            throws GeneralSecurityException {
        if (id == null || timestamp == null || signatures == null || !timestamp.matches("\\d{1,12}")
                || Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(timestamp)) > 300) {
            return false;
        }
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
        mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
        byte[] right = ("v1," + Base64.getEncoder().encodeToString(mac.doFinal(body))).getBytes(StandardCharsets.UTF_8);
        // Two signatures while a secret is being changed. 轮换密钥期间会有两个签名。
        for (String one : signatures.split(" ")) {
            if (MessageDigest.isEqual(right, one.getBytes(StandardCharsets.UTF_8))) {
                return true;
            }
        }
        return false;
    }

    private static void receive(int port) throws IOException {
        String secret = setting("HONGYAN_WEBHOOK_SECRET");
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.createContext("/", exchange -> {
            try (exchange) {
                exchange.sendResponseHeaders(taken(secret, exchange), -1);
            }
        });
        server.start();
        OUT.println("listening " + server.getAddress().getPort());
    }

    private static int taken(String secret, HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readNBytes((1 << 20) + 1);
        if (body.length > 1 << 20) {
            return 413;
        }
        var headers = exchange.getRequestHeaders();
        try {
            if (!verified(secret, headers.getFirst("webhook-id"), headers.getFirst("webhook-timestamp"),
                    headers.getFirst("webhook-signature"), body)) {
                return 401;
            }
        } catch (GeneralSecurityException error) {
            throw new IOException(error);
        }
        Map<String, Object> event = Json.object(new String(body, StandardCharsets.UTF_8));
        Object message = ((Map<?, ?>) event.get("data")).get("message_id");
        // Deliveries may repeat: remember webhook-id and skip what you have seen. 用 webhook-id 去重。
        OUT.println("webhook   " + event.get("type") + " " + (message == null ? "-" : message));
        return 204;
    }

    /** Java writes by the platform's encoding, which need not be UTF-8. */
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private static String setting(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalArgumentException(name + " is not set");
        }
        return value;
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 2 && args[0].equals("receive")) {
            receive(Integer.parseInt(args[1]));
            return;
        }
        if (args.length < 4) {
            System.err.println("APPID OPENID TEMPLATE_ID KEY=VALUE…, or receive PORT");
            System.exit(2);
        }
        try {
            play(args);
        } catch (Problem | IOException error) {
            System.err.println("failed    " + error.getMessage());
            System.exit(1);
        }
    }

    private static void play(String[] args) throws IOException, InterruptedException {
        String openid = args[1];
        Map<String, Object> data = new LinkedHashMap<>();
        for (int at = 3; at < args.length; at++) {
            String[] field = args[at].split("=", 2);
            data.put(field[0], field[1]);
        }
        Hongyan hongyan = new Hongyan(setting("HONGYAN_URL"), setting("HONGYAN_KEY"), args[0]);

        for (Object one : hongyan.subscriptions(openid)) {
            Map<?, ?> grants = (Map<?, ?>) one;
            OUT.println("grants    " + grants.get("template_id") + " " + grants.get("status") + " " + grants.get("available"));
        }
        Map<String, Object> session = hongyan.session(openid);
        OUT.println("session   " + session.get("expires_in"));
        OUT.println("ask       " + ((List<?>) hongyan.ask((String) session.get("session")).get("templates")).size());

        Map<String, Object> request = Map.of("to", openid, "template_id", args[2], "data", data);
        String key = "bill-" + UUID.randomUUID(); // yours: the number of the bill, of the order
        String id = (String) hongyan.send(request, key).message.get("id");
        OUT.println("message   " + id);
        Sent same = hongyan.send(request, key);
        OUT.println("again     " + same.message.get("id") + (same.replayed ? " replayed" : " new"));
        Map<String, Object> settled = hongyan.settled(id, Duration.ofSeconds(30));
        OUT.println("state     " + settled.get("state") + " " + settled.get("errcode"));
        OUT.println("          " + settled.get("explanation"));

        Map<String, Object> wrong = new LinkedHashMap<>(data);
        wrong.put("no_such_field", "x");
        try {
            hongyan.send(Map.of("to", openid, "template_id", args[2], "data", wrong), "bill-" + UUID.randomUUID());
        } catch (Problem problem) {
            OUT.println("problem   " + problem.status + " " + problem.code);
            for (Object one : problem.errors) {
                Map<?, ?> error = (Map<?, ?>) one;
                OUT.println("          " + error.get("pointer") + " " + error.get("code") + " " + error.get("detail"));
            }
        }
    }

    /** As much JSON as the calls need; use your project's own library instead. 项目里已有 Jackson 等库时请直接使用。 */
    static final class Json {
        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        @SuppressWarnings("unchecked")
        static Map<String, Object> object(String text) throws IOException {
            try {
                return (Map<String, Object>) new Json(text).value();
            } catch (RuntimeException wrong) {
                throw new IOException("the answer is not the JSON that was expected", wrong);
            }
        }

        private Object value() {
            switch (next()) {
                case '{' -> {
                    Map<String, Object> map = new LinkedHashMap<>();
                    for (at++; next() != '}'; skip(',')) {
                        String name = string();
                        skip(':');
                        map.put(name, value());
                    }
                    at++;
                    return map;
                }
                case '[' -> {
                    List<Object> list = new ArrayList<>();
                    for (at++; next() != ']'; skip(',')) {
                        list.add(value());
                    }
                    at++;
                    return list;
                }
                case '"' -> {
                    return string();
                }
                default -> {
                    int from = at;
                    while (at < text.length() && ",]} \r\n\t".indexOf(text.charAt(at)) < 0) {
                        at++;
                    }
                    String word = text.substring(from, at);
                    return switch (word) {
                        case "null" -> null;
                        case "true" -> true;
                        case "false" -> false;
                        default -> word.matches("-?\\d+") ? (Object) Long.parseLong(word) : Double.parseDouble(word);
                    };
                }
            }
        }

        private char next() {
            while (Character.isWhitespace(text.charAt(at))) {
                at++;
            }
            return text.charAt(at);
        }

        /** A comma may be missing only before the end of a list or an object. */
        private void skip(char expected) {
            char found = next();
            if (found == expected) {
                at++;
            } else if (expected == ':' || (found != '}' && found != ']')) {
                throw new IllegalArgumentException("character " + at);
            }
        }

        private String string() {
            StringBuilder out = new StringBuilder();
            if (next() != '"') {
                throw new IllegalArgumentException("character " + at);
            }
            for (at++; text.charAt(at) != '"'; at++) {
                char c = text.charAt(at);
                if (c == '\\') {
                    c = text.charAt(++at);
                    if (c == 'u') {
                        c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                        at += 4;
                    } else {
                        int known = "nrtbf".indexOf(c);
                        c = known < 0 ? c : "\n\r\t\b\f".charAt(known);
                    }
                }
                out.append(c);
            }
            at++;
            return out.toString();
        }

        static String write(Object value) {
            if (value instanceof Map<?, ?> map) {
                List<String> parts = new ArrayList<>();
                map.forEach((name, one) -> parts.add(write(String.valueOf(name)) + ":" + write(one)));
                return "{" + String.join(",", parts) + "}";
            }
            if (value instanceof List<?> list) {
                return "[" + String.join(",", list.stream().map(Json::write).toList()) + "]";
            }
            if (value instanceof String text) {
                StringBuilder out = new StringBuilder("\"");
                for (char c : text.toCharArray()) {
                    if (c == '"' || c == '\\') {
                        out.append('\\').append(c);
                    } else if (c < 0x20) {
                        out.append(String.format("\\u%04x", (int) c));
                    } else {
                        out.append(c);
                    }
                }
                return out.append('"').toString();
            }
            return String.valueOf(value);
        }
    }
}
