//! scratch
use frontdesk_simulator::*;
use std::time::Instant;
#[tokio::main]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let r = axum::Router::new().route("/", axum::routing::post(|_b: String| async { "ok" }));
    tokio::spawn(async move { axum::serve(listener, r).await });
    let sim = Simulator::start(Settings { webhook_url: Some(url.clone()), work_ms: (3000, 3000), ..Default::default() }).await.unwrap();
    let c = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = sim.base_url();
    // made
    let t = Instant::now();
    let mut hs = vec![];
    for w in 0..8 { let c = c.clone(); let base = base.clone(); hs.push(tokio::spawn(async move { for i in 0..2500 { c.get(format!("{base}/responses/resp_made_summary_T-{}", w*2500+i)).send().await.unwrap().bytes().await.unwrap(); } })); }
    for h in hs { h.await.unwrap(); }
    println!("made 20000: {:?}", t.elapsed());
    let t = Instant::now();
    let mut hs = vec![];
    for _ in 0..8 { let c = c.clone(); let base = base.clone(); hs.push(tokio::spawn(async move { for _ in 0..2500 { c.post(format!("{base}/responses")).body(r#"{"model":"m","background":true,"input":"My parcel is late. Where is it?"}"#).send().await.unwrap().bytes().await.unwrap(); } })); }
    for h in hs { h.await.unwrap(); }
    println!("created 20000: {:?}", t.elapsed());
    let t = Instant::now();
    sim.idle().await;
    println!("idle after: {:?}; deliveries {}", t.elapsed(), sim.deliveries().len());
    let signer = signing::Signer::new(DEMO_SECRET).unwrap();
    let t = Instant::now();
    let s = trigger::send(trigger::TriggerSettings { count: 20000, concurrency: 64, ..trigger::TriggerSettings::new(url, signer, "response.completed") }).await;
    println!("trigger 20000: {:?} ok {}", t.elapsed(), s.iter().filter(|x| x.accepted()).count());
    // batch
    let mut f = String::new();
    for i in 0..50000 { f += &format!("{{\"custom_id\":\"T-{i}\",\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{{\"model\":\"m\",\"input\":\"My parcel {i} is late. Where is it? I want my money back.\"}}}}\n"); }
    let form = reqwest::multipart::Form::new().text("purpose","batch").part("file", reqwest::multipart::Part::text(f).file_name("x"));
    let t = Instant::now();
    let s = c.post(format!("{base}/files")).multipart(form).send().await.unwrap().text().await.unwrap();
    let id = s.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    c.post(format!("{base}/batches")).body(format!("{{\"input_file_id\":\"{id}\",\"endpoint\":\"/v1/responses\",\"completion_window\":\"24h\"}}")).send().await.unwrap();
    sim.idle().await;
    println!("batch 50000 incl 3 s: {:?}", t.elapsed());
    let t = Instant::now(); sim.shutdown().await; println!("shutdown {:?}", t.elapsed());
    println!("{}", std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM")||l.starts_with("VmRSS")).collect::<Vec<_>>().join(" "));
}
