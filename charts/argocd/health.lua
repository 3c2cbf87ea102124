-- Health of an object of portolan.dev by its condition Ready. True is Healthy, False needs a human and is Degraded, all else
-- is on its way: not yet compiled, not yet served by every replica, or a reference that may still come.
-- Argo CD gives neither string nor math.
local health = { status = "Progressing", message = "The operator has not told anything yet" }
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "Being deleted"
  return health
end
if obj.status == nil or obj.status.conditions == nil then
  return health
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    local seen = condition.observedGeneration or obj.status.observedGeneration
    if seen ~= nil and obj.metadata.generation ~= nil and seen < obj.metadata.generation then
      health.message = "The operator has not seen generation " .. tostring(obj.metadata.generation) .. " yet"
      return health
    end
    health.message = condition.reason .. ": " .. condition.message
    if condition.status == "True" then
      health.status = "Healthy"
    elseif condition.status == "False" then
      health.status = "Degraded"
    end
    return health
  end
end
return health
