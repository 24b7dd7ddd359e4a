#ifndef FACET_SERVICES_GATEWAY_HTTP_HTTP_MESSAGE_H_
#define FACET_SERVICES_GATEWAY_HTTP_HTTP_MESSAGE_H_

// One HTTP request and the way back to its client, free of any library's types.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace facet {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // "POST"
  std::string path;    // of the target, without the query
  HttpHeaders headers;
  std::string body;
  std::string peer;  // the client's address; empty: unknown

  // The first header of that name (any case); empty: there is none.
  absl::string_view Header(absl::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (absl::EqualsIgnoreCase(key, name)) return value;
    }
    return {};
  }
};

struct HttpResponse {
  int code = 200;
  std::string content_type = "application/json";
  HttpHeaders headers;
  std::string body;
};

// The answer to one request: either Respond() once, or BeginStream(), any number of Write(),
// EndStream(). An exchange that goes without an answer closes its connection.
//
// Thread-safe; no call blocks. Calls after the client has gone do nothing.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual void Respond(HttpResponse response) = 0;

  // Sends the head; its body is ignored, for it comes in pieces.
  virtual void BeginStream(HttpResponse head) = 0;
  // `ready` is called once, from any thread and perhaps before this returns, when the client has
  // taken enough that more may be written; never after the client has gone.
  virtual void Write(std::string data, std::function<void()> ready) = 0;
  virtual void EndStream() = 0;

  // `gone` is called at most once: the client has closed its connection, or took too long to read,
  // before the answer was complete. At once if that has happened already. Not after a complete one.
  virtual void OnClientGone(std::function<void()> gone) = 0;
};

// Called on a thread of the server; must not block for long.
using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<HttpExchange>)>;

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_HTTP_HTTP_MESSAGE_H_
