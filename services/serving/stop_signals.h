#ifndef FACET_SERVICES_SERVING_STOP_SIGNALS_H_
#define FACET_SERVICES_SERVING_STOP_SIGNALS_H_

namespace facet {

// From here on SIGTERM and SIGINT write ServerEvent::kSignal to `fd`, the writing end of an
// EventPipe, and SIGPIPE is ignored. The last caller gets the signals.
void TakeStopSignals(int fd);

// SIGTERM and SIGINT end the process again, unless another fd has taken them since.
void GiveStopSignalsBack(int fd);

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_STOP_SIGNALS_H_
